import { encodeBase64, formatTime } from "./go-text.ts";
import { pointerTo, type Hint } from "./type-hints.ts";
import type { Value } from "../core/value.ts";

/** All but what Go's encoding/json writes as it is. With the u flag, half a surrogate pair is a character too. */
const ESCAPED = /[^ !#-%'-;=?-[\]-\u2027\u202a-\ud7ff\ue000-\u{10ffff}]/u;
const EACH_ESCAPED = new RegExp(ESCAPED, "gu");

/** The short escapes of Go before 1.22, which has none for \b and \f. */
const SHORT: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Writes a string as Go's encoding/json does; half surrogate pairs, which Go has not, as escapes. */
export function goString(text: string): string {
  if (!ESCAPED.test(text)) return `"${text}"`;
  return `"${text.replace(EACH_ESCAPED, escapeChar)}"`;
}

function escapeChar(char: string): string {
  return SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Orders strings as Go does, by their UTF-8 bytes, which is by code points. */
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
 * @param value - one that `assertValue` lets pass
 * @param path - where the value stands; the same array again when this returns
 * @param hints - takes, by pointer, what the text alone doesn't tell
 */
export function goJson(value: Value, path: (string | number)[], hints: Map<string, Hint>): string {
  switch (typeof value) {
    case "string":
      return goString(value);
    case "boolean":
      return value ? "true" : "false";
    case "number":
      // From 1e21 on, the text has an exponent.
      if (Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < 1e21) hints.set(pointerTo(path), "number");
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      if (Number.isSafeInteger(Number(value))) hints.set(pointerTo(path), "bigint");
      return String(value);
    default:
      return value === null ? "null" : objectJson(value, path, hints);
  }
}

function objectJson(value: Value & object, path: (string | number)[], hints: Map<string, Hint>): string {
  if (value instanceof Date) {
    hints.set(pointerTo(path), "date");
    return goString(formatTime(value));
  }
  if (value instanceof Uint8Array) {
    hints.set(pointerTo(path), "bytes");
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
