import { Buffer } from "node:buffer";
import { wrong } from "../../core/options.ts";
import { FENCE_ID } from "../../core/token.ts";
import type { Row } from "../drivers/driver.ts";

/** Range of instants that both Date and timestamptz can hold, in milliseconds since 1970. */
const MIN_INSTANT_MS = Date.UTC(-4712, 0, 1);
export const MAX_INSTANT_MS = 8.64e15;

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
export function instantOf(text: string | null | undefined): number {
  return Math.min(Math.max(Math.floor(Number(text)), -MAX_INSTANT_MS), MAX_INSTANT_MS);
}

/** Reads milliseconds since 1970, as `instantOf`. */
export function readInstant(text: string | null | undefined): Date {
  return new Date(instantOf(text));
}

/** Writes a PostgreSQL array of texts. All are quoted, because an unquoted NULL would not be a text. */
export function arrayText(texts: readonly string[]): string {
  return `{"${(texts.some(isSpecial) ? texts.map(escaped) : texts).join('","')}"}`;
}

function isSpecial(text: string): boolean {
  return text.includes('"') || text.includes("\\");
}

function escaped(text: string): string {
  return text.replace(/["\\]/g, "\\$&");
}

/*
 * The answer to look-ups that share a statement: a single row with a single text, because a client needs more time for a row
 * of a result, and for each of its columns, than for the bytes in it.
 *
 * answer = row { SEPARATOR row }
 * row    = position UNIT expiry UNIT state data
 *
 * The position counts the ids in the parameter, from 1. The state is one of the letters of STATES. Neither base64 nor
 * JSON contains the separators. Why: docs/decisions/007-batches.md
 */

/** Control characters of ASCII: record separator and unit separator. */
export const SEPARATOR = "\x1e";
export const UNIT = "\x1f";
export const STATES = { live: "l", ended: "e", deferred: "d" } as const;

/** A row that a look-up has found. */
export interface FoundRow {
  /** Milliseconds since 1970. */
  readonly expiry: number;
  readonly isEnded: boolean;
  /** The data as a text of the layout. Undefined: it was left out because the answer would have been too long. */
  readonly data: string | undefined;
}

/** The rows that a look-up has found. */
interface FoundRows {
  /** The rows by the position of their ids. */
  readonly rows: (FoundRow | undefined)[];
  /** Whether the statement has seen the fence. */
  readonly isFenced: boolean;
}

/** Reads the text of an answer. @param ids - number of ids that were sent. The fence's id follows them */
export function readFound(text: string | null | undefined, ids: number): FoundRows {
  const rows: (FoundRow | undefined)[] = [];
  let isFenced = false;
  if (text == null) return { rows, isFenced };
  for (let at = 0; at < text.length;) {
    const expiryAt = text.indexOf(UNIT, at) + 1;
    const stateAt = text.indexOf(UNIT, expiryAt) + 1;
    const next = text.indexOf(SEPARATOR, stateAt);
    const end = next < 0 ? text.length : next;
    const position = Number(text.slice(at, expiryAt - 1)) - 1;
    const state = text[stateAt];
    if (position === ids) isFenced = true;
    else {
      rows[position] = {
        expiry: instantOf(text.slice(expiryAt, stateAt - 1)),
        isEnded: state === STATES.ended,
        data: state === STATES.deferred ? undefined : text.slice(stateAt + 1, end),
      };
    }
    at = end + 1;
  }
  return { rows, isFenced };
}

/** Reads the answer to a look-up of a single id. */
export function readSingle(answer: readonly Row[]): FoundRows {
  const rows: FoundRow[] = [];
  let isFenced = false;
  for (const row of answer) {
    if (row["token"] === FENCE_ID) isFenced = true;
    else rows.push({ expiry: instantOf(row["expiry"]), isEnded: row["ended"] === "true", data: row["data"] ?? "" });
  }
  return { rows, isFenced };
}
