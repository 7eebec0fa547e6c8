import { CommanderError } from "commander";
import { PgStoreError, SchemaError, StoreUnavailableError } from "../base/errors.ts";

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

export function failureOf(error: unknown): Failure {
  const message = withCause(error);
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

function withCause(error: unknown): string {
  const cause: unknown = (error as { cause?: unknown } | null)?.cause;
  return cause === undefined ? textOf(error) : `${textOf(error)} (${textOf(cause)})`;
}

/** Of several addresses that failed, Node gives a code and no message; PGlite's file system gives only a name. */
function textOf(error: unknown): string {
  const { message, code, name } = error as { message?: string; code?: string; name?: string };
  return (message || code || name || String(error)).replaceAll(/\s+/g, " ").trim();
}
