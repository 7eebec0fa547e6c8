import { PgStoreError } from "./errors.ts";
import { after } from "./time.ts";

/** Milliseconds between two log lines about failures of one kind. */
const COUNTED_FOR = 10_000;

/**
 * Makes the default of `onError`. It logs an error of pgstore in one line and only counts errors of the same code in
 * the next ten seconds, as in an outage every request fails. Other errors are logged with their stack, as they point to
 * a mistake in the code.
 *
 * @param what - the beginning of the line: `"the request failed"`
 */
export function failureLog(what: string): (error: unknown) => void {
  const counts = new Map<string, number>();
  const count = (code: string): void => {
    counts.set(code, 0);
    after(COUNTED_FOR, () => {
      const more = counts.get(code) ?? 0;
      if (more === 0) counts.delete(code);
      else {
        console.error(`pgstore: ${what}: ${code}, ${more} more in ${COUNTED_FOR / 1000} s`);
        count(code);
      }
    });
  };
  const log = (error: unknown): void => {
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
  return (error) => {
    try {
      log(error);
    } catch {
      // A proxy, an accessor or a method for inspection throws.
      console.error(`pgstore: ${what}: the error can't be shown`);
    }
  };
}

/** Returns the code of a cause. A driver's message may quote a value, so it is not logged. */
function reasonOf(cause: unknown): string {
  const code: unknown = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? ` (${code})` : "";
}

/** The objects already warned about, by the warning's code. */
const warned = new Map<string, WeakSet<object>>();

/**
 * Emits a warning of the process, or logs it on a runtime without such warnings.
 *
 * @param about - the object concerned, which gets each warning once
 */
export function warn(code: string, message: string, about: object): void {
  const known = warned.get(code) ?? new WeakSet();
  if (known.has(about)) return;
  warned.set(code, known.add(about));
  const { process } = globalThis as { process?: { emitWarning?(message: string, options: object): void } };
  if (process?.emitWarning === undefined) console.warn(`pgstore: ${message}`);
  else process.emitWarning(message, { type: "PgStoreWarning", code });
}
