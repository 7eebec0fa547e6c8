import { Buffer } from "node:buffer";
import { defineEntry, isPlainObject, type Value } from "../core/value.ts";

/** Characters that Go's encoding/json escapes. With the u flag, a lone surrogate is a character, too. */
const ESCAPED = /[^ !#-%'-;=?-[\]-\u2027\u202a-\ud7ff\ue000-\u{10ffff}]/u;
const EACH_ESCAPED = new RegExp(ESCAPED, "gu");

/** The short escapes of Go before 1.22, which has no \b and \f. */
const SHORT: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Writes a string as Go's encoding/json does. A lone surrogate, which Go does not have, is escaped. */
export function goString(text: string): string {
  if (!ESCAPED.test(text)) return `"${text}"`;
  return `"${text.replace(EACH_ESCAPED, escapeChar)}"`;
}

function escapeChar(char: string): string {
  return SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Compares strings as Go does, by UTF-8 bytes, which is the order of code points. */
export function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.codePointAt(index) ?? 0;
    const right = b.codePointAt(index) ?? 0;
    if (left !== right) return left - right;
  }
  return a.length - b.length;
}

/**
 * Writes a value as Go's encoding/json does, with the keys of objects in their own order.
 *
 * @param value - must have passed `assertValue`
 * @param path - the path of the value. It is changed during the call and restored
 * @param hints - receives the types that the text alone does not tell
 */
export function goJson(value: Value, path: (string | number)[], hints: Hint[]): string {
  switch (typeof value) {
    case "string":
      return goString(value);
    case "boolean":
      return String(value);
    case "number":
      // From 1e21 on, the text has an exponent, so it can't be a bigint.
      if (Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < 1e21) hints.push([pointerTo(path), "number"]);
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      if (Number.isSafeInteger(Number(value))) hints.push([pointerTo(path), "bigint"]);
      return String(value);
    default:
      return value === null ? "null" : objectJson(value, path, hints);
  }
}

function objectJson(value: Value & object, path: (string | number)[], hints: Hint[]): string {
  if (value instanceof Date) {
    hints.push([pointerTo(path), "date"]);
    return goString(formatTime(value));
  }
  if (value instanceof Uint8Array) {
    hints.push([pointerTo(path), "bytes"]);
    return `"${encodeBase64(value)}"`;
  }
  const list = Array.isArray(value);
  let text = "";
  for (const [name, entry] of list ? value.entries() : Object.entries(value)) {
    if (text !== "") text += ",";
    if (!list) text += `${goString(String(name))}:`;
    path.push(name);
    text += goJson(entry, path, hints);
    path.pop();
  }
  return list ? `[${text}]` : `{${text}}`;
}

/** The type of a value that the JSON text alone does not tell, and the JSON Pointer from the data to the value. */
export type Hint = [pointer: string, type: "date" | "bytes" | "bigint" | "number"];

/**
 * Writes the path from the data to a value.
 *
 * @see RFC 6901, JSON Pointer
 */
function pointerTo(path: readonly (string | number)[]): string {
  return path.map((name) => `/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/**
 * Converts values of `data` to the types of the hints, in place. A hint that does not fit its value is ignored.
 *
 * @param types - hints by JSON Pointer, unchecked, as another program may have written them
 */
export function applyHints(data: Record<string, unknown>, types: unknown): void {
  if (!isPlainObject(types)) return;
  for (const [pointer, hint] of Object.entries(types)) {
    const [first, ...names] = pointer.split("/").map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = names.pop();
    if (first !== "" || last === undefined) continue;
    let container: unknown = data;
    for (const name of names) container = entryOf(container, name);
    const value = revive(entryOf(container, last), hint);
    if (value !== undefined) defineEntry(container as object, last, value);
  }
}

/** Reads an own entry, neither an inherited property nor an array's length. */
function entryOf(container: unknown, name: string): unknown {
  if (!Array.isArray(container) && !isPlainObject(container)) return undefined;
  return Object.prototype.propertyIsEnumerable.call(container, name) ? Reflect.get(container, name) : undefined;
}

function revive(value: unknown, hint: unknown): Date | Uint8Array | bigint | number | undefined {
  if (typeof value === "string" && hint === "date") return parseTime(value);
  if (typeof value === "string" && hint === "bytes") return decodeBase64(value);
  if (typeof value === "number" && hint === "bigint" && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === "bigint" && hint === "number" && Number.isFinite(Number(value))) return Number(value);
  return undefined;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d+))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/;
const EXTENDED = /^[+-]\d{6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/**
 * Writes an instant as Go does: RFC 3339 in UTC without trailing zeros. Go refuses years before 0 and after 9999, which get the extended form
 * of ISO 8601 with a sign and six digits.
 */
function formatTime(date: Date): string {
  const text = date.toISOString();
  return EXTENDED.test(text) ? text : text.replace(/\.?0+Z$/, "Z");
}

/**
 * Reads an RFC 3339 text as Go does, with capital letters only. A fraction is cut to milliseconds. Never throws.
 *
 * @returns undefined for other texts and for dates that don't exist
 */
export function parseRfc3339(text: string): Date | undefined {
  const match = RFC_3339.exec(text);
  if (match === null) return undefined;
  const [, fraction = "", sign, hours, minutes] = match;
  const clock = text.slice(0, 19);
  const date = new Date(`${clock}.${fraction.slice(0, 3).padEnd(3, "0")}Z`);
  // Date turns the 30th of February into the 2nd of March and 24:00 into the next day.
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 19) !== clock) return undefined;
  if (sign === undefined) return date;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return new Date(date.getTime() + (sign === "-" ? offset : -offset));
}

/** Reads the texts of `formatTime` and any RFC 3339 text. Never throws. */
function parseTime(text: string): Date | undefined {
  if (!EXTENDED.test(text)) return parseRfc3339(text);
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text ? date : undefined;
}

/** Writes bytes as Go does: standard base64 with padding. */
function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/**
 * Reads standard base64 with padding, in the only form that `encodeBase64` writes. Never throws.
 *
 * @returns bytes that the caller owns, or undefined for other texts
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? new Uint8Array(bytes) : undefined;
}
