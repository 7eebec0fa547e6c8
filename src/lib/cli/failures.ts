import { CommanderError } from "commander";
import { type ExitCode, EXIT } from "./answer.ts";
import { PgStoreError, SchemaError, StoreUnavailableError } from "../core/errors.ts";

/** A mistake in the command line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The table is missing, or lacks something that a command needs. */
export class TableProblemError extends SchemaError {
  /** The problem, without its remedy. */
  readonly problem: string;
  readonly remedy: string;

  /** Makes the error. @param table - quoted */
  constructor(table: string, problem: string, remedy: string, cause?: unknown) {
    super(table, `${problem}: ${remedy}`, cause === undefined ? {} : { cause });
    this.problem = problem;
    this.remedy = remedy;
  }
}

/** The user pressed Ctrl-C. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  override readonly message = "interrupted";
}

/** An error as the command line reports it. */
interface Failure {
  exitCode: ExitCode;
  /** The code of a PgStoreError, or USAGE, INTERRUPTED or FAILED. */
  code: string;
  /** One line. */
  message: string;
}

/** Turns an error into a report. @param foreign - removes secrets from foreign text */
export function failureOf(error: unknown, foreign: (text: string) => string = (text) => text): Failure {
  // pgstore throws a TypeError for a wrong option.
  if (error instanceof CommanderError || error instanceof UsageError || error instanceof TypeError) {
    return { exitCode: EXIT.usage, code: "USAGE", message: textOf(error).replace(/^error: /, "") };
  }
  const { code: system, port } = (error ?? {}) as { code?: unknown; port?: number };
  if (system === "EADDRINUSE") {
    const message = `port ${port} is already in use. Choose another with --port`;
    return { exitCode: EXIT.usage, code: "USAGE", message };
  }
  if (error instanceof SchemaError) return { exitCode: EXIT.schema, code: error.code, message: textOf(error) };
  const exitCode = error instanceof StoreUnavailableError ? EXIT.unreachable : EXIT.problem;
  const other = error instanceof InterruptedError ? "INTERRUPTED" : "FAILED";
  return { exitCode, code: error instanceof PgStoreError ? error.code : other, message: withCause(error, foreign) };
}

/** Says whether pgstore wrote an error's text. */
export function isOurs(error: unknown): boolean {
  return [PgStoreError, InterruptedError, CommanderError, UsageError, TypeError].some((kind) => error instanceof kind);
}

function withCause(error: unknown, foreign: (text: string) => string): string {
  const cause: unknown = (error as { cause?: unknown } | null)?.cause;
  const text = isOurs(error) ? textOf(error) : foreign(textOf(error));
  return cause === undefined ? text : `${text} (${foreign(textOf(cause))})`;
}

/** An error's text. When several addresses fail, Node gives only a code. PGlite's file system gives only a name. */
function textOf(error: unknown): string {
  const { message, code, name } = error as { message?: string; code?: string; name?: string };
  return (message || code || name || String(error)).replaceAll(/\s+/g, " ").trim();
}

/** The password in a connection URL, up to the last @ that could end it. The scheme may be missing. */
const IN_URL = /((?:\b[a-z][a-z\d+.-]*:\/\/|(?<![\w:/@.-])\/\/)[^\s:@/]*):\S*@/gi;
const WITHOUT_SCHEME = /((?<![\w:/@.-])[\w.%+-]+):[^\s@/]\S*@(?=[\w[%.-])/gi;
/** A password in a libpq string, a query or the environment, quoted or not. */
const NAMED = /((?:password|passfile|PGPASSWORD|passwd|pwd)\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|"[^"]*"?|[^\s&'"]+)/gi;

/**
 * Removes passwords from a text, by their place in it.
 *
 * Removing them by value as well would hide innocent words: with the password "sessions", the name of each table.
 */
export function redact(text: string): string {
  return text.replaceAll(IN_URL, "$1:***@").replaceAll(WITHOUT_SCHEME, "$1:***@").replaceAll(NAMED, "$1***");
}

/**
 * Removes passwords from a foreign text, by their place and by value.
 *
 * @param urls - connection strings, whose passwords are removed
 * @param password - a further password
 */
export function redactForeign(text: string, urls: readonly (string | undefined)[], password?: string): string {
  const secrets = [password ?? "", ...urls.flatMap((url) => (url === undefined ? [] : passwordsIn(url)))]
    .flatMap((secret) => [secret, decoded(secret)])
    .filter((secret) => secret.length >= MIN_SECRET_CHARACTERS);
  // The longest first, as one may be the beginning of another.
  let safe = redact(text);
  for (const secret of secrets.toSorted((a, b) => b.length - a.length)) safe = safe.replaceAll(secret, "***");
  return safe;
}

/** Shorter passwords occur in innocent words. */
const MIN_SECRET_CHARACTERS = 4;

function passwordsIn(url: string): string[] {
  const found = [
    /\/\/[^\s:@/]*:(\S*)@/.exec(url)?.[1],
    /^[\w.%+-]+:([^\s/]\S*)@/.exec(url)?.[1],
    ...[...url.matchAll(/password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&'"]+))/gi)].flatMap(([, quoted, plain]) => [
      quoted?.replaceAll(/\\(.)/g, "$1"),
      plain,
    ]),
  ];
  return found.filter((password) => password !== undefined);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
