import { CommanderError } from "commander";
import { type ExitCode, EXIT } from "./answer.ts";
import { PgStoreError, SchemaError, StoreUnavailableError } from "../core/errors.ts";

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
interface Failure {
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

/** The password in a connection URL, up to the last @ that could end it; the scheme may be missing. */
const IN_URL = /((?:\b[a-z][a-z\d+.-]*:\/\/|(?<![\w:/@.-])\/\/)[^\s:@/]*):\S*@/gi;
const WITHOUT_SCHEME = /((?<![\w:/@.-])[\w.%+-]+):[^\s@/]\S*@(?=[\w[%.-])/gi;
/** Of libpq's strings, of queries, and of the environment; quoted or not. */
const NAMED = /((?:password|passfile|PGPASSWORD|passwd|pwd)\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|"[^"]*"?|[^\s&'"]+)/gi;

/**
 * Takes passwords out of an error's text, by where they stand.
 *
 * Our own texts hold none, and are printed as they are: of a password such as "sessions" each table's name would be hidden.
 */
export function redact(text: string): string {
  return text.replaceAll(IN_URL, "$1:***@").replaceAll(WITHOUT_SCHEME, "$1:***@").replaceAll(NAMED, "$1***");
}

/**
 * Takes passwords out of what others say: also where one stands alone.
 *
 * @param urls - connection strings
 * @param password - one that is known by itself
 */
export function redactForeign(text: string, urls: readonly (string | undefined)[], password?: string): string {
  const secrets = [password ?? "", ...urls.flatMap((url) => (url === undefined ? [] : passwordsIn(url)))]
    .flatMap((secret) => [secret, decoded(secret)])
    .filter((secret) => secret.length >= MIN_LENGTH);
  // The longer first: one may be the beginning of another.
  let safe = redact(text);
  for (const secret of secrets.toSorted((a, b) => b.length - a.length)) safe = safe.replaceAll(secret, "***");
  return safe;
}

/** Shorter ones would stand in innocent words. */
const MIN_LENGTH = 4;

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
