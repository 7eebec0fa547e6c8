import type { BatchLimits } from "./batch.ts";

/** How many operations of a kind (find, create, replace, save, touch, delete) go together. */
export interface BatchOptions {
  /** Operations in a statement. Default 256; 1: each has its own. */
  rows?: number | undefined;
  /** Statements under way at once, so connections that a kind may use. Default 3. */
  statements?: number | undefined;
  /** Operations that wait for a statement; past them StoreOverloadedError. Default 20,000. */
  waiting?: number | undefined;
}

const DEFAULTS: BatchLimits = { rows: 256, statements: 3, waiting: 20_000 };

/** @throws TypeError that names the option */
export function batchLimits(options: BatchOptions = {}): BatchLimits {
  if (typeof options !== "object" || options === null) throw new TypeError("batch: must be an object");
  const limits = { ...DEFAULTS };
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(DEFAULTS, name)) throw new TypeError(`batch.${name}: there is no such option`);
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value < 1) throw new TypeError(`batch.${name}: must be a whole number from 1`);
    limits[name as keyof BatchLimits] = value;
  }
  return limits;
}
