import fc from "fast-check";
import { difference } from "./compare.ts";
import { whenCommitFails, whenHandlerThrows } from "./failures.ts";
import { print, type Program, programs } from "./program.ts";
import { catchEverything, Subjects } from "./subjects.ts";

export interface RunOptions {
  /** At most this many programs. */
  programs: number;
  /** Milliseconds, after which no further program is begun. */
  time?: number | undefined;
  seed?: number | undefined;
}

export interface Report {
  count: number;
  seed: number;
  seconds: number;
  /** The smallest program found on which the two responses differ, with both observations. */
  counterexample: string | undefined;
}

/** Runs random programs on two responses, and says how the first one that differs does. */
export async function runPrograms(
  check: (program: Program, subjects: Subjects) => Promise<string | undefined>,
  options: RunOptions,
  arbitrary: fc.Arbitrary<Program> = programs,
): Promise<Report> {
  const started = performance.now();
  const restore = catchEverything();
  try {
    const subjects = await Subjects.create();
    let count = 0;
    const property = fc.asyncProperty(arbitrary, async (program) => {
      count++;
      const found = await check(program, subjects);
      if (found !== undefined) throw new Error(found);
    });
    const { failed, counterexample, seed, errorInstance } = await fc.check(property, {
      numRuns: options.programs,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.time === undefined ? {} : { interruptAfterTimeLimit: options.time }),
    });
    const [smallest] = counterexample ?? [];
    return {
      count,
      seed,
      seconds: Math.round(performance.now() - started) / 1000,
      counterexample:
        failed && smallest !== undefined ? `${print(smallest)}\n\n${(errorInstance as Error).message}` : undefined,
    };
  } finally {
    restore();
  }
}

/** A held response against a plain one. */
export async function againstPlain(program: Program, subjects: Subjects): Promise<string | undefined> {
  return difference(program, await subjects.plain(program), await subjects.held(program));
}

/** A session that can't be stored, and a handler of `nodeHandler` that throws. */
export async function inTrouble(program: Program, subjects: Subjects): Promise<string | undefined> {
  if (program.session === "new" || program.session === "changed") {
    const fault =
      (await whenCommitFails(program, subjects, "fails")) ??
      (await whenCommitFails(program, subjects, "fails with a page"));
    if (fault !== undefined) return `when the commit fails: ${fault}`;
  }
  if (!program.steps.some(({ op }) => op === "throw")) return undefined;
  const fault = await whenHandlerThrows(program, subjects);
  return fault === undefined ? undefined : `when the handler throws: ${fault}`;
}

/** A plain response against another one: shows whether the comparison itself is sound. */
export async function plainAgainstPlain(program: Program, subjects: Subjects): Promise<string | undefined> {
  return difference({ ...program, session: "unused" }, await subjects.plain(program), await subjects.plain(program));
}
