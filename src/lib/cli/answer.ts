import { PLAIN, type Style } from "./style.ts";

/** Exit codes of the process. */
export const EXIT = {
  /** Done, and nothing is wrong. */
  ok: 0,
  /** A check has found something, or not all was done. */
  problem: 1,
  /** The command line is wrong, or a confirmation is missing. */
  usage: 2,
  /** The database can't be reached. */
  unreachable: 3,
  /** The table is missing, or not as it should be. */
  schema: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The output of a command. */
export interface Answer {
  /** For people. A function: for the terminal that it will be written to. */
  text: string | ((style: Style) => string);
  /** For programs: with --json the only document on standard output. */
  json: unknown;
  exitCode: ExitCode;
}

/** Returns the text of an answer. */
export function textOf({ text }: Answer, style = PLAIN): string {
  return typeof text === "function" ? text(style) : text;
}
