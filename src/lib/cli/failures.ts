import { CommanderError } from "commander";
import { PgStoreError, SchemaError, StoreUnavailableError } from "../core/errors.ts";

/** What the process ends with. */
export const EXIT = {
  /** Done, and nothing is wrong. */
  ok: 0,
  /** A check has found something, or not all was done. */
  problem: 1,
  /** The command line is wrong, or there is nobody to confirm it. */
  usage: 2,
  /** The database can't be reached. */
  unreachable: 3,
  /** The table is missing, or not as it should be. */
  schema: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command line asks for what there is not. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Somebody has pressed Ctrl-C. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";

  constructor() {
    super("interrupted");
  }
}

/** What is told of an error. */
export interface Failure {
  exitCode: ExitCode;
  /** As of PgStoreError, or USAGE, INTERRUPTED, FAILED. */
  code: string;
  /** One line. */
  message: string;
}

/** @param foreign - takes secrets out of what is not said by us */
export function failureOf(error: unknown, foreign: (text: string) => string = (text) => text): Failure {
  const message = withCause(error, foreign);
  if (error instanceof StoreUnavailableError) return { exitCode: EXIT.unreachable, code: error.code, message };
  if (error instanceof SchemaError) return { exitCode: EXIT.schema, code: error.code, message: textOf(error) };
  if (error instanceof PgStoreError) return { exitCode: EXIT.problem, code: error.code, message };
  if (error instanceof InterruptedError) return { exitCode: EXIT.problem, code: "INTERRUPTED", message };
  // A TypeError is how pgstore says that an option is wrong.
  if (error instanceof CommanderError || error instanceof UsageError || error instanceof TypeError) {
    return { exitCode: EXIT.usage, code: "USAGE", message: textOf(error).replace(/^error: /, "") };
  }
  return { exitCode: EXIT.problem, code: "FAILED", message };
}

/** Says whether an error's text is ours. */
export function isOurs(error: unknown): boolean {
  return [PgStoreError, InterruptedError, CommanderError, UsageError, TypeError].some((kind) => error instanceof kind);
}

function withCause(error: unknown, foreign: (text: string) => string): string {
  const cause: unknown = (error as { cause?: unknown } | null)?.cause;
  const text = isOurs(error) ? textOf(error) : foreign(textOf(error));
  return cause === undefined ? text : `${text} (${foreign(textOf(cause))})`;
}

/** Of several addresses that failed, Node gives a code and no message; PGlite's file system gives only a name. */
function textOf(error: unknown): string {
  const { message, code, name } = error as { message?: string; code?: string; name?: string };
  return (message || code || name || String(error)).replaceAll(/\s+/g, " ").trim();
}
