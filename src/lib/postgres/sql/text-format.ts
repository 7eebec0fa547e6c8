import { Buffer } from "node:buffer";
import { wrong } from "../../core/options.ts";

/** Range of instants that both Date and timestamptz can hold, in milliseconds since 1970. */
const MIN_INSTANT_MS = Date.UTC(-4712, 0, 1);
const MAX_INSTANT_MS = 8.64e15;

/** Encodes bytes as base64. @throws TypeError when the value is not a Uint8Array */
export function bytesText(data: unknown): string {
  if (!(data instanceof Uint8Array)) throw wrong("data", "a Uint8Array", data);
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
}

/** Writes an instant as milliseconds since 1970. @throws TypeError when the value is not a valid Date */
export function instantText(instant: unknown, name = "expiry"): string {
  if (!(instant instanceof Date) || Number.isNaN(instant.getTime())) throw wrong(name, "a valid Date", instant);
  return String(Math.max(instant.getTime(), MIN_INSTANT_MS));
}

export function readBytes(text: string | null | undefined): Uint8Array {
  const bytes = Buffer.from(text ?? "", "base64");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Decodes the raw bytes of a column as UTF-8. */
export function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Reads milliseconds since 1970. PostgreSQL's 'infinity' becomes the last instant that a Date can hold. */
export function readInstant(text: string | null | undefined): Date {
  return new Date(Math.min(Math.max(Math.floor(Number(text)), -MAX_INSTANT_MS), MAX_INSTANT_MS));
}

/** Writes a PostgreSQL array of texts. All are quoted, because an unquoted NULL would not be a text. */
export function arrayText(texts: readonly string[]): string {
  return `{"${texts.map((text) => (/["\\]/.test(text) ? text.replace(/["\\]/g, "\\$&") : text)).join('","')}"}`;
}
