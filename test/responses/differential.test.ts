import { describe, expect, it } from "vitest";
import { leaveEventsAlone } from "../support/token-leaks.ts";
import { KNOWN } from "./known.ts";
import { EXPERIMENTS, runKnown, runPrograms } from "./run.ts";

leaveEventsAlone();

/** The same programs each time, as a test must not fail for others than it did before; `npm run differential` tries new ones. */
const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? 1);

/** As many as fit into the time; `npm run differential` runs more. */
async function expectNoDifference(name: keyof typeof EXPERIMENTS, programs: number, time: number): Promise<void> {
  const { counterexample, seed: used } = await runPrograms(EXPERIMENTS[name], { programs, time, seed });
  expect(counterexample, `DIFFERENTIAL_SEED=${used}`).toBeUndefined();
}

describe("a held response", { timeout: 60_000 }, () => {
  it("is Node's own, for any sequence of calls", () => expectNoDifference("held", 3000, 9000));
  it("is Node's own on HTTP/2", () => expectNoDifference("held2", 600, 3000));
  it("is a whole answer when the commit fails or the handler throws", () => expectNoDifference("trouble", 1200, 6000));
  it("is one on HTTP/2 when the commit fails", () => expectNoDifference("trouble2", 300, 3000));
});

describe("programs that once found a fault, or a change of the code that made one", { timeout: 60_000 }, () => {
  it.each(Object.entries(KNOWN))("find none: %s", async (name, programs) => {
    expect(await runKnown(EXPERIMENTS[name as keyof typeof KNOWN], programs)).toBeUndefined();
  });
});

describe("the comparison", { timeout: 60_000 }, () => {
  it("finds no difference between plain responses", () => expectNoDifference("plain", 400, 1500));
  it("finds none on HTTP/2", () => expectNoDifference("plain2", 100, 1500));
});
