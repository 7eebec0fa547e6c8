import { describe, expect, it } from "vitest";
import { leaveEventsAlone } from "../support/token-leaks.ts";
import { againstPlain, inTrouble, plainAgainstPlain, runPrograms } from "./run.ts";

leaveEventsAlone();

/** DIFFERENTIAL_SEED repeats a run. */
const seed = process.env["DIFFERENTIAL_SEED"] === undefined ? undefined : Number(process.env["DIFFERENTIAL_SEED"]);

describe("a held response", () => {
  it("is Node's own, for any sequence of calls", { timeout: 60_000 }, async () => {
    const { counterexample, seed: used } = await runPrograms(againstPlain, { programs: 4000, time: 9000, seed });
    expect(counterexample, `seed ${used}`).toBeUndefined();
  });
});

describe("a response whose commit fails, or whose handler throws", () => {
  it("is a whole answer, for any sequence of calls", { timeout: 60_000 }, async () => {
    const { counterexample, seed: used } = await runPrograms(inTrouble, { programs: 1500, time: 5000, seed });
    expect(counterexample, `seed ${used}`).toBeUndefined();
  });
});

describe("the comparison", () => {
  it("finds no difference between a plain response and a plain response", { timeout: 60_000 }, async () => {
    const { counterexample, seed: used } = await runPrograms(plainAgainstPlain, { programs: 500, time: 3000, seed });
    expect(counterexample, `seed ${used}`).toBeUndefined();
  });
});
