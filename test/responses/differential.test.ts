import { describe, expect, it } from "vitest";
import { leaveEventsAlone } from "../support/token-leaks.ts";
import { EXPERIMENTS, runPrograms } from "./run.ts";

leaveEventsAlone();

/** The same programs each time, as a test must not fail for others than it did before; `npm run differential` tries new ones. */
const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? 1);

/** As many as fit into the time; `npm run differential` runs more. */
async function expectNoDifference(name: keyof typeof EXPERIMENTS, programs: number, time: number): Promise<void> {
  const { counterexample, seed: used } = await runPrograms(EXPERIMENTS[name], { programs, time, seed });
  expect(counterexample, `DIFFERENTIAL_SEED=${used}`).toBeUndefined();
}

describe("a held response", { timeout: 60_000 }, () => {
  it("is Node's own, for any sequence of calls", () => expectNoDifference("held", 1500, 9000));
  it("is Node's own on HTTP/2", () => expectNoDifference("held2", 300, 3000));
  it("is a whole answer when the commit fails or the handler throws", () => expectNoDifference("trouble", 600, 6000));
});

describe("the comparison", { timeout: 60_000 }, () => {
  it("finds no difference between plain responses", () => expectNoDifference("plain", 400, 1500));
  it("finds none on HTTP/2", () => expectNoDifference("plain2", 100, 1500));
});
