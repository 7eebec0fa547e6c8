import { Buffer } from "node:buffer";

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d+))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/;
const EXTENDED = /^[+-]\d{6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/**
 * Writes an instant as Go does: RFC 3339 in UTC, no trailing zeros. Go refuses the years before 0 and after 9999; those
 * take the extended form of ISO 8601, which has a sign and six digits.
 */
export function formatTime(date: Date): string {
  const text = date.toISOString();
  return EXTENDED.test(text) ? text : text.replace(/\.?0+Z$/, "Z");
}

/**
 * Reads an RFC 3339 text as Go does, capital letters only; a fraction of any length is cut to milliseconds.
 *
 * @returns undefined for other texts and for days that don't exist. Never throws.
 */
export function parseRfc3339(text: string): Date | undefined {
  const match = RFC_3339.exec(text);
  if (match === null) return undefined;
  const [, fraction = "", sign, hours, minutes] = match;
  const clock = text.slice(0, 19);
  const date = new Date(`${clock}.${fraction.slice(0, 3).padEnd(3, "0")}Z`);
  // Date turns the 30th of February into the 2nd of March, and 24:00 into the next day.
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 19) !== clock) return undefined;
  if (sign === undefined) return date;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return new Date(date.getTime() + (sign === "-" ? offset : -offset));
}

/** Reads what `formatTime` writes, and RFC 3339. Never throws. */
export function parseTime(text: string): Date | undefined {
  if (!EXTENDED.test(text)) return parseRfc3339(text);
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text ? date : undefined;
}

/** Writes bytes as Go does: standard base64 with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/**
 * Reads standard base64 with padding, and only the one text that `encodeBase64` writes for the bytes.
 *
 * @returns bytes of their own, or undefined for other texts. Never throws.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? new Uint8Array(bytes) : undefined;
}
