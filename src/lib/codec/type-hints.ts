import { decodeBase64, parseTime } from "./go-text.ts";
import { defineEntry, isPlainObject } from "../core/value.ts";

/** What a JSON text alone does not say about a value. */
export type Hint = "date" | "bytes" | "bigint" | "number";

/**
 * Writes the path from the data to a value.
 *
 * @see RFC 6901, JSON Pointer
 */
export function pointerTo(path: readonly (string | number)[]): string {
  return path.map((name) => `/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/**
 * Gives values of `data` the types that the hints tell, in place. A hint that does not fit is passed over, and the plain
 * value stays.
 *
 * @param types - hints by pointer, of any shape as they come from outside
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

/** An own entry, neither what is inherited nor an array's length. */
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
