import ms from "ms";

/** Milliseconds, or a text that the `ms` package reads: `"20m"`, `"24h"`, `"30 days"`. */
export type Duration = number | string;

/** A hundred years in milliseconds: more is a mistake, and Go's int64 of nanoseconds, in which SCS keeps deadlines, ends in 2262. */
const LONGEST = 100 * 365.25 * 24 * 3600 * 1000;

/**
 * Reads a duration.
 *
 * @param option - the option's name, for the message
 * @returns milliseconds, not negative
 * @throws TypeError that names the option
 */
export function parseDuration(option: string, value: unknown): number {
  let milliseconds: number | undefined;
  if (typeof value === "number") milliseconds = value;
  else if (typeof value === "string" && value.length > 0 && value.length <= 100)
    milliseconds = ms(value as ms.StringValue);
  if (milliseconds === undefined || Number.isNaN(milliseconds)) {
    throw new TypeError(`${option}: ${shown(value)} is not a duration, such as 60000 or "20m"`);
  }
  if (milliseconds < 0 || milliseconds > LONGEST) {
    throw new TypeError(`${option}: ${shown(value)} is out of range, 0 to 100 years`);
  }
  return milliseconds;
}

/** Writes a value of whatever kind as an error shows it. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
