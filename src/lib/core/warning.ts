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
