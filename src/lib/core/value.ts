import { Buffer } from "node:buffer";
/** A value that a session can hold. It keeps its type when it is stored and loaded. */
export type Value = string | number | boolean | bigint | null | Date | Uint8Array | Value[] | { [key: string]: Value };

/**
 * A type to which `T` is assignable if a session can hold its values. Functions, symbols, undefined and instances of
 * classes with methods become `never`, also inside arrays and objects.
 */
export type Storable<T> = unknown extends T
  ? T
  : T extends Value
    ? T
    : T extends readonly unknown[]
      ? number extends T["length"]
        ? readonly Storable<T[number]>[]
        : { [Key in keyof T]: Storable<T[Key]> }
      : T extends object
        ? T extends (...parameters: never[]) => unknown
          ? never
          : { [Key in keyof T]: Storable<T[Key]> }
        : never;

/** The first integer with more than 1,000 digits, which `scsJson` does not read. */
const TOO_LARGE = 10n ** 1000n;

/** Maximum depth of arrays and objects, far above practical use and below the limit of the call stack. */
export const MAX_DEPTH = 500;

/** Tells whether a value is an object other than an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Tells whether a value is an object literal of any realm, not an instance of a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * Checks that a session can hold a value.
 *
 * @param key - the session's key, for the message
 * @throws TypeError, naming the key and the path of a nested value, when it can't
 */
export function assertValue(key: string, value: unknown): asserts value is Value {
  if (typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return;
  const refuse = (path: string, what: string): never => {
    const at = path === "" ? "" : ` (at ${path})`;
    throw new TypeError(`session key ${JSON.stringify(key)}: ${what} can't be stored${at}`);
  };
  const open = new Set<object>();

  const visit = (item: unknown, path: string): void => {
    switch (typeof item) {
      case "string":
      case "boolean":
        return;
      case "bigint":
        if (item >= TOO_LARGE || item <= -TOO_LARGE) refuse(path, "a bigint of more than 1,000 digits");
        return;
      case "number":
        if (!Number.isFinite(item)) refuse(path, String(item));
        return;
      case "object":
        break;
      default:
        refuse(path, item === undefined ? "undefined" : `a ${typeof item}`);
    }
    if (item === null || item instanceof Uint8Array) return;
    if (item instanceof Date) {
      if (Number.isNaN(item.getTime())) refuse(path, "an invalid Date");
      return;
    }
    const container: object = item as object;
    if (open.has(container)) refuse(path, "a cycle");
    if (open.size >= MAX_DEPTH) refuse("", `nesting deeper than ${MAX_DEPTH}`);
    open.add(container);
    if (Array.isArray(container)) {
      if (Object.keys(container).length !== container.length) refuse(path, "an array with holes or properties");
      for (let index = 0; index < container.length; index++) visit(container[index], `${path}[${index}]`);
    } else if (isPlainObject(container)) {
      if (Object.getOwnPropertySymbols(container).length > 0) refuse(path, "a symbol key");
      for (const [name, entry] of Object.entries(container)) visit(entry, path === "" ? name : `${path}.${name}`);
    } else {
      refuse(path, `an instance of ${container.constructor?.name ?? "a class"}`);
    }
    open.delete(container);
  };
  visit(value, "");
}

/** Returns a value that a session can hold. @throws TypeError, naming the key, when it can't */
export function toValue(key: string, value: unknown): Value {
  assertValue(key, value);
  return value;
}

/** Sets an own property, even with a name such as `__proto__`, which an assignment would not store. */
export function defineEntry(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
}

/**
 * Copies a value deeply.
 *
 * @throws TypeError when it nests deeper than a session allows, for example because it contains itself
 */
export function cloneValue(value: Value, depth = 0): Value {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return new Date(value);
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (depth >= MAX_DEPTH) throw new TypeError(`nesting deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) return value.map((entry) => cloneValue(entry, depth + 1));
  const copy: { [key: string]: Value } = {};
  for (const [name, entry] of Object.entries(value)) defineEntry(copy, name, cloneValue(entry, depth + 1));
  return copy;
}

/** Copies a value deeply. Returns undefined when it can't be copied, because it was changed in place after it was checked. */
export function tryCloneValue(value: Value): Value | undefined {
  try {
    return cloneValue(value);
  } catch {
    return undefined;
  }
}

/** Tells whether two values are equal. `-0` differs from `0`, and the order of an object's keys does not count. */
export function equalValues(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Date) return b instanceof Date && Object.is(a.getTime(), b.getTime());
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (b instanceof Date || b instanceof Uint8Array || Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every(
    (name) =>
      Object.hasOwn(b, name) && equalValues((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]),
  );
}
