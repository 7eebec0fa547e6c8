import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { applyHints, compareStrings, goJson, goString, type Hint } from "./go-json.ts";
import { parseJson } from "./json-reader.ts";
import { assertValue, isPlainObject, MAX_DEPTH, type Value } from "../core/value.ts";

/** A session's values by key, and the instant at which it ends. */
interface Session {
  values: Map<string, Value>;
  deadline: Date;
}

/** The furthest instant of a Date, in milliseconds. */
const LAST_INSTANT = 8.64e15;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What follows the data in bytes of ours and of Go. Anchored, and with one `.*`, it can't run away. */
const TAIL = /^,"deadline":(-?(?:0|[1-9]\d{0,18}))(?:,"types":(\{.*\}))?\}[ \t\n\r]*$/s;

/** JSON has no regard for blanks. Each stands for two bits of a mark. */
const BLANKS = [" ", "\t", "\n", "\r"];
const BYTES_AS_BLANKS = Array.from({ length: 256 }, (_, byte) =>
  [0, 2, 4, 6].map((shift) => BLANKS[(byte >> shift) & 3]).join(""),
);
/** Bytes of the random part of a mark, and how many marks begin with the same. */
const MARK_PREFIX_BYTES = 4;
const MARKS_A_PREFIX = 1 << 16;

/** The nanoseconds of the deadlines that were decoded: a Date holds milliseconds. */
const nanoseconds = new WeakMap<Date, bigint>();

/**
 * The bytes that Go's SCS v0.1.1 writes: `{"data":{…},"deadline":<nanoseconds since 1970>}`, byte by byte the same for
 * what both know. What JSON can't tell apart (a Date, bytes, a small bigint, a large number) is noted in a third member,
 * `"types":{"/key/0":"date"}`, which Go ignores; a session that Go then writes has lost it.
 *
 * Decoding is exact: integers beyond ±(2^53-1) come as bigint, and a deadline keeps its nanoseconds as long as its Date
 * is passed on. Messages of errors show nothing of the data.
 *
 * @see SCS v0.1.1, session.go
 */
export const scsJson = {
  /**
   * @param unique - the bytes differ from those of an equal session: by blanks at their end, which Go skips
   * @throws TypeError that names the key of a value that can't be stored
   */
  encode({ values, deadline }: Session, _id?: string, unique = false): Uint8Array {
    const mark = unique ? uniqueBlanks() : "";
    const hints = new Map<string, Hint>();
    const members = sorted(values).map(([key, value]) => {
      assertValue(key, value);
      return `${goString(key)}:${goJson(value, [key], hints)}`;
    });
    const text = `{"data":{${members.join()}},"deadline":${nanosecondsOf(deadline)}`;
    if (hints.size === 0) return utf8Bytes(`${text}}${mark}`);
    const types = sorted(hints).map(([pointer, hint]) => `${goString(pointer)}:"${hint}"`);
    return utf8Bytes(`${text},"types":{${types.join()}}}${mark}`);
  },

  /** @throws SyntaxError or TypeError for other bytes */
  decode(bytes: Uint8Array): Session {
    const text = utf8.decode(bytes);
    const { data, deadline, types } = readQuickly(text) ?? readExactly(text);
    if (types !== undefined) applyHints(data, types);
    return { values: new Map(Object.entries(data)), deadline: dateOf(deadline) };
  },
};

/** Marks of this process: a random text, and a count. Each is in blanks. */
let markPrefix = "";
let marks = 0;

/** Makes blanks that no other write has, in this process or another. Randomness for each would take longer than the rest. */
function uniqueBlanks(): string {
  if (marks % MARKS_A_PREFIX === 0) markPrefix = Array.from(randomBytes(MARK_PREFIX_BYTES), blanksOf).join("");
  const count = marks++ % MARKS_A_PREFIX;
  return markPrefix + blanksOf(count >> 8) + blanksOf(count & 0xff);
}

/** Four blanks for a byte. */
function blanksOf(byte: number): string {
  return BYTES_AS_BLANKS[byte] ?? "";
}

interface Members {
  data: Record<string, Value>;
  /** Nanoseconds since 1970, or a Date where that is as exact. */
  deadline: bigint | Date;
  types: unknown;
}

/**
 * Reads the bytes that we and Go write with the engine's own parser, about 3 times as fast as `readExactly`.
 *
 * Cutting is safe: no JSON object is the beginning of another, so when a piece parses, it was cut where it ends.
 *
 * @returns undefined for bytes in another form, and where the engine may have rounded an integer
 */
function readQuickly(text: string): Members | undefined {
  const cut = text.lastIndexOf('},"deadline":') + 1;
  const tail = cut > 0 && text.startsWith('{"data":{') ? TAIL.exec(text.slice(cut)) : null;
  if (tail === null) return undefined;
  const [, deadline = "", types] = tail;
  try {
    const members = {
      data: JSON.parse(text.slice('{"data":'.length, cut)) as Record<string, Value>,
      deadline: wholeMilliseconds(deadline) ?? BigInt(deadline),
      types: types === undefined ? undefined : (JSON.parse(types) as unknown),
    };
    return magnitudeOf(members.data) <= Number.MAX_SAFE_INTEGER ? members : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the members from any JSON text. */
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
 * The largest magnitude among the numbers in a value. `JSON.parse` was exact when it is safe, as rounding never takes an
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

function sorted<T>(entries: Map<string, T>): [string, T][] {
  return [...entries].toSorted(([a], [b]) => compareStrings(a, b));
}

/** From the pool of Buffer: an ArrayBuffer for each text would be an allocation outside of the heap, and dear to collect. */
function utf8Bytes(text: string): Uint8Array {
  const { buffer, byteOffset, byteLength } = Buffer.from(text);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Reads nanoseconds that are whole milliseconds, as all are that we write: a Date then says it all. */
function wholeMilliseconds(nanoseconds: string): Date | undefined {
  if (!nanoseconds.endsWith("000000")) return undefined;
  return new Date(Number(nanoseconds.slice(0, -6)));
}

function dateOf(deadline: bigint | Date): Date {
  if (deadline instanceof Date) return deadline;
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

/** Rounds down, and to the range of a Date. */
function millisecondsOf(deadline: bigint): number {
  const rest = ((deadline % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const milliseconds = Number((deadline - rest) / 1_000_000n);
  return Math.min(Math.max(milliseconds, -LAST_INSTANT), LAST_INSTANT);
}
