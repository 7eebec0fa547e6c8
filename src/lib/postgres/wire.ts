import { Buffer } from "node:buffer";

/** A B-tree of PostgreSQL takes keys up to a third of a page; no token of ours is near that. */
const LONGEST_TOKEN = 1024;
/** The instants that both JavaScript's Date and PostgreSQL's timestamptz can hold, in milliseconds since 1970. */
const EARLIEST = Date.UTC(-4712, 0, 1);
const LATEST = 8.64e15;

/** @throws TypeError when PostgreSQL could not store the token as it is */
export function assertToken(token: unknown): string {
  if (typeof token !== "string" || token === "" || token.length > LONGEST_TOKEN) {
    throw new TypeError(`token: must be a string of 1 to ${LONGEST_TOKEN} characters`);
  }
  if (token.includes("\0") || !token.isWellFormed()) throw new TypeError("token: must be valid UTF-8 without NUL");
  return token;
}

/** @throws TypeError when it is no Uint8Array */
export function bytesText(data: unknown): string {
  if (!(data instanceof Uint8Array)) throw new TypeError("data: must be a Uint8Array");
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
}

/** @throws TypeError when it is no valid Date */
export function instantText(instant: unknown, name = "expiry"): string {
  if (!(instant instanceof Date) || Number.isNaN(instant.getTime()))
    throw new TypeError(`${name}: must be a valid Date`);
  return String(Math.max(instant.getTime(), EARLIEST));
}

export function readBytes(text: string | null | undefined): Uint8Array {
  const bytes = Buffer.from(text ?? "", "base64");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The text in bytes that a client gives as they came. */
export function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Reads milliseconds since 1970; PostgreSQL's 'infinity' becomes the last instant that a Date can hold. */
export function readInstant(text: string | null | undefined): Date {
  return new Date(Math.min(Math.max(Math.floor(Number(text)), -LATEST), LATEST));
}

/** Writes a PostgreSQL array of texts. Each is quoted: unquoted, NULL would be no text. */
export function arrayText(texts: readonly string[]): string {
  return `{"${texts.map((text) => (/["\\]/.test(text) ? text.replace(/["\\]/g, "\\$&") : text)).join('","')}"}`;
}
