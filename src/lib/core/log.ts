import { PgStoreError } from "./errors.ts";

/** Milliseconds for which failures of one kind are counted before they are logged again. */
const COUNTED_FOR = 10_000;

/**
 * Makes a default for `onError`: logs an error of pgstore in one line, and counts those of its kind that follow within ten
 * seconds. In an outage each request fails, and a stack of each would fill the log with nothing new. Other errors are logged
 * as they are, as their stack leads to a mistake.
 *
 * @param what - what has failed: `"the request failed"`
 */
export function failureLog(what: string): (error: unknown) => void {
  const counts = new Map<string, number>();
  const count = (code: string): void => {
    counts.set(code, 0);
    const timer = setTimeout(() => {
      const more = counts.get(code) ?? 0;
      if (more === 0) counts.delete(code);
      else {
        console.error(`pgstore: ${what}: ${code}, ${more} more in ${COUNTED_FOR / 1000} s`);
        count(code);
      }
    }, COUNTED_FOR);
    timer.unref?.();
  };
  return (error) => {
    if (!(error instanceof PgStoreError)) {
      console.error(`pgstore: ${what}:`, error);
      return;
    }
    const known = counts.get(error.code);
    if (known !== undefined) {
      counts.set(error.code, known + 1);
      return;
    }
    console.error(`pgstore: ${what}: ${error.name}: ${error.message}${reasonOf(error.cause)}`);
    count(error.code);
  };
}

/** Only its code: a driver's message may quote a value. */
function reasonOf(cause: unknown): string {
  const code: unknown = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? ` (${code})` : "";
}

/** Codes of the warnings, each with those that have been warned about. */
const warned = new Map<string, WeakSet<object>>();

/**
 * Emits a warning of the process, where the runtime has such, or else logs it.
 *
 * @param about - the warning is given once for each
 */
export function warn(code: string, message: string, about: object): void {
  const known = warned.get(code) ?? new WeakSet();
  if (known.has(about)) return;
  warned.set(code, known.add(about));
  const { process } = globalThis as { process?: { emitWarning?(message: string, options: object): void } };
  if (process?.emitWarning === undefined) console.warn(`pgstore: ${message}`);
  else process.emitWarning(message, { type: "PgStoreWarning", code });
}
