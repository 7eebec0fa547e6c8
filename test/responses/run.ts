import fc from "fast-check";
import { difference } from "./compare.ts";
import { whenCommitFails, whenCommitFails2, whenHandlerThrows } from "./failures.ts";
import { inUtf8, mayMisstateLength, print, type Program, programs, programs2 } from "./program.ts";
import { catchEverything, Subjects } from "./subjects.ts";
import { Subjects2 } from "./subjects2.ts";

export interface RunOptions {
  /** At most this many programs. */
  programs: number;
  /** Milliseconds, after which no further program is begun. */
  time?: number | undefined;
  seed?: number | undefined;
  /** Where a run with this seed has failed: only that program is run. */
  path?: string | undefined;
}

export interface Report {
  count: number;
  seed: number;
  /** Where the smallest program that fails is found again. */
  path: string | undefined;
  seconds: number;
  /** The smallest program found on which the two responses differ, with both observations. */
  counterexample: string | undefined;
}

/** What is checked of each program, and on which programs. */
export interface Experiment {
  programs: fc.Arbitrary<Program>;
  /** Begins, and returns the check: it says what is wrong, or undefined. */
  prepare(): Promise<(program: Program) => Promise<string | undefined>>;
}

/** Runs an experiment, and says how the first program that fails does. */
export async function runPrograms(experiment: Experiment, options: RunOptions): Promise<Report> {
  const started = performance.now();
  const restore = catchEverything();
  try {
    const check = await experiment.prepare();
    let count = 0;
    const property = fc.asyncProperty(experiment.programs, async (program) => {
      count++;
      const found = await check(program);
      if (found !== undefined) throw new Error(found);
    });
    const { failed, counterexample, counterexamplePath, seed, errorInstance } = await fc.check(property, {
      numRuns: options.programs,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.path === undefined ? {} : { path: options.path, endOnFailure: true }),
      ...(options.time === undefined ? {} : { interruptAfterTimeLimit: options.time }),
    });
    const [smallest] = counterexample ?? [];
    return {
      count,
      seed,
      path: counterexamplePath ?? undefined,
      seconds: Math.round(performance.now() - started) / 1000,
      counterexample:
        failed && smallest !== undefined ? `${print(smallest)}\n\n${(errorInstance as Error).message}` : undefined,
    };
  } finally {
    restore();
  }
}

/** Says what is wrong with the first of these programs that fails; undefined when none does. */
export async function runKnown(experiment: Experiment, known: readonly Program[]): Promise<string | undefined> {
  const restore = catchEverything();
  try {
    const check = await experiment.prepare();
    for (const program of known) {
      const found = await check(program);
      if (found !== undefined) return `${print(program)}\n\n${found}`;
    }
    return undefined;
  } finally {
    restore();
  }
}

/** A held response against a plain one; a failed commit, a handler that throws; a plain one against another plain one. "2": on HTTP/2. */
export const EXPERIMENTS = {
  held: {
    programs,
    prepare: async () => {
      const subjects = await Subjects.create();
      return (program) => againstPlain(program, subjects);
    },
  },
  trouble: {
    programs: programs.map(inUtf8),
    prepare: async () => {
      const subjects = await Subjects.create();
      return (program) => inTrouble(program, subjects);
    },
  },
  plain: {
    programs: programs.map((program): Program => ({ ...program, session: "unused" })),
    prepare: async () => {
      const subjects = await Subjects.create();
      return async (program) => difference(program, await subjects.plain(program), await subjects.plain(program));
    },
  },
  held2: {
    programs: programs2,
    prepare: async () => {
      const subjects = new Subjects2();
      return (program) => againstPlain(program, subjects);
    },
  },
  trouble2: {
    programs: programs2.map((program): Program => ({ ...program, session: "new" })),
    prepare: async () => {
      const subjects = new Subjects2();
      return (program) => whenCommitFails2(program, subjects);
    },
  },
  plain2: {
    programs: programs2.map((program): Program => ({ ...program, session: "unused" })),
    prepare: async () => {
      const subjects = new Subjects2();
      return async (program) => difference(program, await subjects.plain(program), await subjects.plain(program));
    },
  },
} satisfies Record<string, Experiment>;

/** Compares what a held response does with what plain ones do, some of which do not do the same each time. */
async function againstPlain(program: Program, subjects: Subjects | Subjects2): Promise<string | undefined> {
  const held = await subjects.held(program);
  let found: string | undefined;
  for (let attempt = 0; attempt < 6; attempt++) {
    found = difference(program, await subjects.plain(program), held);
    if (found === undefined) break;
  }
  return found;
}

/** A session that can't be stored, and a handler of `nodeHandler` that throws. */
async function inTrouble(program: Program, subjects: Subjects): Promise<string | undefined> {
  if (program.session === "new" || program.session === "changed") {
    const fault =
      (await whenCommitFails(program, subjects, "fails")) ??
      (await whenCommitFails(program, subjects, "fails with a page"));
    if (fault !== undefined) return `when the commit fails: ${fault}`;
  }
  // A plain response may be cut off before its client notices that the length is wrong.
  if (!program.steps.some(({ op }) => op === "throw") || mayMisstateLength(program)) return undefined;
  const fault = await whenHandlerThrows(program, subjects);
  return fault === undefined ? undefined : `when the handler throws: ${fault}`;
}
