import type { Style } from "./style.ts";

/** Exit codes of the process, which the program's help explains. */
export const EXIT = { ok: 0, problem: 1, usage: 2, unreachable: 3, schema: 4 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The output of a command. */
export interface Answer {
  /** For people. A function: for the terminal that it will be written to. */
  text: string | ((style: Style) => string);
  /** For programs: with --json the only document on standard output. */
  json: unknown;
  exitCode: ExitCode;
}
