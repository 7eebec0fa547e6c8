import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { DecodedSession } from "../core/codec.ts";
import { applyHints, compareStrings, goJson, goString, type Hint } from "./go-json.ts";
import { parseJson } from "./json-reader.ts";
import { assertValue, isPlainObject, MAX_DEPTH, type Value } from "../core/value.ts";

/** The latest instant of a Date, in milliseconds since 1970. */
const LAST_INSTANT = 8.64e15;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text after the data, as pgstore and Go write it. Anchored and with a single `.*`, it matches in linear time. */
const TAIL = /^,"deadline":(-?(?:0|[1-9]\d{0,18}))(?:,"types":(\{.*\}))?\}[ \t\n\r]*$/s;

/** An instant from 2001 to 2262 in whole milliseconds, written as nanoseconds, at the end of a text. */
const PLAIN_TAIL = /[1-9]\d{12}000000\}[ \t\n\r]*$/y;
const MILLISECOND_DIGITS = 13;

/** JSON's white space. Each character stands for two bits of a mark. */
const BLANKS = [" ", "\t", "\n", "\r"];
const BYTES_AS_BLANKS = Array.from({ length: 256 }, (_, byte) =>
  [0, 2, 4, 6].map((shift) => BLANKS[(byte >> shift) & 3]).join(""),
);
/** The number of random bytes of a mark, and the number of marks that share them. */
const MARK_PREFIX_BYTES = 4;
const MARKS_A_PREFIX = 1 << 16;

/** The exact nanoseconds of decoded deadlines, as a Date holds only milliseconds. */
const nanoseconds = new WeakMap<Date, bigint>();

/**
 * The default codec, which writes the format of Go's SCS v0.1.1: `{"data":{…},"deadline":<nanoseconds since 1970>}`. For types that Go has,
 * the bytes are the same as Go's. A third member, `"types":{"/key/0":"date"}`, tells what JSON can't: a Date, bytes, a small bigint, a large
 * number. Go ignores it, and drops it when it writes the session.
 *
 * Decoding is exact: integers beyond ±(2^53-1) become bigints, and a deadline keeps its nanoseconds as long as the same Date is encoded.
 * Error messages don't quote the data.
 *
 * @see SCS v0.1.1, session.go
 */
export const scsJson = {
  /**
   * Encodes a session.
   *
   * @param unique - makes equal sessions differ in their bytes, by white space at the end, which Go skips
   * @throws TypeError, naming the key, when a value can't be stored
   */
  encode({ values, deadline }: DecodedSession, _id?: string, unique = false): Uint8Array {
    const mark = unique ? uniqueBlanks() : "";
    const hints: Hint[] = [];
    let members = "";
    for (const key of sortedKeys(values)) {
      const value = values.get(key);
      assertValue(key, value);
      members += `${members === "" ? "" : ","}${goString(key)}:${goJson(value, [key], hints)}`;
    }
    const types = hints.length === 0 ? "" : `,"types":{${typesOf(hints)}}`;
    return utf8Bytes(`{"data":{${members}},"deadline":${nanosecondsOf(deadline)}${types}}${mark}`);
  },

  /** Decodes a session. @throws SyntaxError or TypeError for bytes of another format */
  decode(bytes: Uint8Array): DecodedSession {
    const text = utf8.decode(bytes);
    const { data, deadline, types } = readQuickly(text) ?? readExactly(text);
    if (types !== undefined) applyHints(data, types);
    const values = new Map<string, Value>();
    for (const key of Object.keys(data)) values.set(key, data[key] as Value);
    return { values, deadline: deadline instanceof Date ? deadline : dateOf(deadline) };
  },
};

/** The random part of this process's marks, as white space, and the count of marks. */
let markPrefix = "";
let marks = 0;

/** Makes white space that no other write has, in any process. Random bytes for each call would take longer than the rest of `encode`. */
function uniqueBlanks(): string {
  if (marks % MARKS_A_PREFIX === 0) markPrefix = Array.from(randomBytes(MARK_PREFIX_BYTES), blanksOf).join("");
  const count = marks++ % MARKS_A_PREFIX;
  return markPrefix + blanksOf(count >> 8) + blanksOf(count & 0xff);
}

/** Writes a byte as four characters of white space. */
function blanksOf(byte: number): string {
  return BYTES_AS_BLANKS[byte] ?? "";
}

interface Members {
  data: Record<string, Value>;
  /** Nanoseconds since 1970, or a Date if they are whole milliseconds. */
  deadline: bigint | Date;
  types: unknown;
}

/**
 * Reads the text that pgstore and Go write, with `JSON.parse`, about 3 times as fast as `readExactly`.
 *
 * Cutting the text is safe: no JSON object is a prefix of another, so a piece that parses was cut at its end.
 *
 * @returns undefined for text in another form, and when `JSON.parse` may have rounded an integer
 */
function readQuickly(text: string): Members | undefined {
  const cut = text.lastIndexOf('},"deadline":') + 1;
  if (cut === 0 || !text.startsWith('{"data":{')) return undefined;
  let deadline: Date | bigint | undefined = plainDeadline(text, cut + ',"deadline":'.length);
  let types: unknown;
  try {
    if (deadline === undefined) {
      const tail = TAIL.exec(text.slice(cut));
      if (tail === null) return undefined;
      const [, digits = "", hints] = tail;
      deadline = BigInt(digits);
      types = hints === undefined ? undefined : (JSON.parse(hints) as unknown);
    }
    const data = JSON.parse(text.slice('{"data":'.length, cut)) as Record<string, Value>;
    return magnitudeOf(data) <= Number.MAX_SAFE_INTEGER ? { data, deadline, types } : undefined;
  } catch {
    return undefined;
  }
}

/** Reads a deadline that ends the text, as pgstore writes it for a session without types. Undefined for any other tail. */
function plainDeadline(text: string, start: number): Date | undefined {
  PLAIN_TAIL.lastIndex = start;
  return PLAIN_TAIL.test(text) ? new Date(Number(text.slice(start, start + MILLISECOND_DIGITS))) : undefined;
}

/** Reads the members of any JSON text. */
function readExactly(text: string): Members {
  const session = parseJson(text);
  if (!isPlainObject(session)) throw new TypeError("not an object");
  const members = new Map(Object.entries(session));
  const data = members.get("data") === null ? {} : members.get("data");
  if (!isPlainObject(data)) throw new TypeError("data is not an object");
  if (magnitudeOf(data) === Infinity) throw new TypeError("a number is out of range");
  const deadline = members.get("deadline");
  if (typeof deadline !== "bigint" && !Number.isSafeInteger(deadline))
    throw new TypeError("deadline is not an integer");
  return {
    data,
    deadline: BigInt(deadline as number | bigint),
    types: members.get("types"),
  };
}

/**
 * Returns the largest magnitude of the numbers in a value. If it is a safe integer, `JSON.parse` was exact, as rounding never moves an
 * integer across 2^53.
 *
 * @throws TypeError when the values of an object nest deeper than `encode` allows
 */
function magnitudeOf(value: unknown, depth = 0): number {
  if (typeof value === "number") return Math.abs(value);
  if (typeof value !== "object" || value === null) return 0;
  if (depth > MAX_DEPTH) throw new TypeError(`nesting deeper than ${MAX_DEPTH}`);
  let largest = 0;
  for (const entry of Object.values(value)) {
    const magnitude = magnitudeOf(entry, depth + 1);
    if (magnitude > largest) largest = magnitude;
  }
  return largest;
}

function typesOf(hints: readonly Hint[]): string {
  return hints
    .toSorted(([one], [other]) => compareStrings(one, other))
    .map(([pointer, type]) => `${goString(pointer)}:"${type}"`)
    .join();
}

function sortedKeys(values: ReadonlyMap<string, Value>): string[] {
  const keys = [...values.keys()];
  // Sessions are mostly stored as they were loaded, with their keys in order.
  return keys.every((key, at) => at === 0 || compareStrings(keys[at - 1] ?? "", key) < 0)
    ? keys
    : keys.toSorted(compareStrings);
}

/** Encodes a text from Buffer's pool. An ArrayBuffer for each text would be allocated outside the heap, which is expensive to collect. */
function utf8Bytes(text: string): Uint8Array {
  const { buffer, byteOffset, byteLength } = Buffer.from(text);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function dateOf(deadline: bigint): Date {
  const date = new Date(millisecondsOf(deadline));
  nanoseconds.set(date, deadline);
  return date;
}

function nanosecondsOf(date: Date): bigint {
  const milliseconds = date.getTime();
  if (Number.isNaN(milliseconds)) throw new TypeError("the deadline is an invalid Date");
  const exact = nanoseconds.get(date);
  return exact !== undefined && millisecondsOf(exact) === milliseconds ? exact : BigInt(milliseconds) * 1_000_000n;
}

/** Rounds down to milliseconds, within the range of a Date. */
function millisecondsOf(deadline: bigint): number {
  const rest = ((deadline % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const milliseconds = Number((deadline - rest) / 1_000_000n);
  return Math.min(Math.max(milliseconds, -LAST_INSTANT), LAST_INSTANT);
}
