import { TypeAssertionError } from "../core/errors.ts";
import { decodeBase64, parseRfc3339 } from "../codec/go-json.ts";
import { sessionOf } from "./manage.ts";

/** How the seed reads one type: what it makes of a stored value, and what stands for an absent one. */
interface Kind<T> {
  /** For the error's message: "not …". */
  name: string;
  /** Undefined: the value is not of this type. */
  read: (value: unknown) => T | undefined;
  zero: () => T;
}

const STRING: Kind<string> = {
  name: "a string",
  read: (value) => (typeof value === "string" ? value : undefined),
  zero: () => "",
};

const BOOL: Kind<boolean> = {
  name: "a boolean",
  read: (value) => (typeof value === "boolean" ? value : undefined),
  zero: () => false,
};

const INT: Kind<number> = {
  name: "an integer up to 2^53 (getInt64 reads larger ones)",
  read: (value) => {
    if (typeof value === "number") return Number.isSafeInteger(value) ? value + 0 : undefined;
    if (typeof value !== "bigint") return undefined;
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : undefined;
  },
  zero: () => 0,
};

const INT64: Kind<bigint> = {
  name: "a 64-bit integer",
  read: (value) => {
    const integer = typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
    return typeof integer === "bigint" && BigInt.asIntN(64, integer) === integer ? integer : undefined;
  },
  zero: () => 0n,
};

const FLOAT: Kind<number> = {
  name: "a number",
  read: (value) => (typeof value === "number" || typeof value === "bigint" ? Number(value) : undefined),
  zero: () => 0,
};

const TIME: Kind<Date> = {
  name: "a time",
  read: (value) => {
    if (value instanceof Date) return new Date(value);
    return typeof value === "string" ? parseRfc3339(value) : undefined;
  },
  // Go's zero time.
  zero: () => new Date("0001-01-01T00:00:00Z"),
};

const BYTES: Kind<Uint8Array> = {
  name: "bytes",
  read: (value) => {
    if (value instanceof Uint8Array) return value;
    return typeof value === "string" ? decodeBase64(value) : undefined;
  },
  zero: () => new Uint8Array(),
};

function get<T>(kind: Kind<T>, request: object, key: string): T {
  const session = sessionOf(request);
  return session.has(key) ? assert(kind, key, session.get(key)) : kind.zero();
}

function pop<T>(kind: Kind<T>, request: object, key: string): T {
  const session = sessionOf(request);
  const present = session.has(key);
  // Of an absent key as well: SCS says ErrAlreadyWritten then too.
  const value = session.pop(key);
  return present ? assert(kind, key, value) : kind.zero();
}

function assert<T>(kind: Kind<T>, key: string, value: unknown): T {
  const read = kind.read(value);
  if (read === undefined) throw new TypeAssertionError(key, kind.name);
  return read;
}

/** Refuses what the reader of the same type would refuse. */
function put<T>(kind: Kind<T>, request: object, key: string, value: T): void {
  if (kind.read(value) === undefined) {
    throw new TypeError(`session key ${JSON.stringify(key)}: the value is not ${kind.name}`);
  }
  sessionOf(request).set(key, value);
}

/** Reads a string; `""` when the key is absent. @throws TypeAssertionError when the value is no string */
export const getString = (request: object, key: string): string => get(STRING, request, key);
/** Sets a string. */
export const putString = (request: object, key: string, value: string): void => put(STRING, request, key, value);
/** Reads a string once and removes it; `""` when the key is absent. @throws TypeAssertionError when it was no string */
export const popString = (request: object, key: string): string => pop(STRING, request, key);

/** Reads a boolean; false when the key is absent. @throws TypeAssertionError when the value is no boolean */
export const getBool = (request: object, key: string): boolean => get(BOOL, request, key);
/** Sets a boolean. */
export const putBool = (request: object, key: string, value: boolean): void => put(BOOL, request, key, value);
/** Reads a boolean once and removes it; false when the key is absent. @throws TypeAssertionError when it was no boolean */
export const popBool = (request: object, key: string): boolean => pop(BOOL, request, key);

/**
 * Reads an integer; 0 when the key is absent.
 *
 * @throws TypeAssertionError when the value is no integer, or one beyond 2^53, which a number can't hold: use getInt64
 */
export const getInt = (request: object, key: string): number => get(INT, request, key);
/** Sets an integer. */
export const putInt = (request: object, key: string, value: number): void => put(INT, request, key, value);
/** Reads an integer once and removes it; 0 when the key is absent. @throws TypeAssertionError as getInt */
export const popInt = (request: object, key: string): number => pop(INT, request, key);

/** Reads a 64-bit integer; 0n when the key is absent. @throws TypeAssertionError when the value is none */
export const getInt64 = (request: object, key: string): bigint => get(INT64, request, key);
/** Sets a 64-bit integer. A number stays one for readers of TypeScript. */
export const putInt64 = (request: object, key: string, value: bigint | number): void =>
  put<bigint | number>(INT64, request, key, value);
/** Reads a 64-bit integer once and removes it; 0n when the key is absent. @throws TypeAssertionError when it was none */
export const popInt64 = (request: object, key: string): bigint => pop(INT64, request, key);

/** Reads a number; 0 when the key is absent. @throws TypeAssertionError when the value is no number */
export const getFloat = (request: object, key: string): number => get(FLOAT, request, key);
/** Sets a number. */
export const putFloat = (request: object, key: string, value: number): void => put(FLOAT, request, key, value);
/** Reads a number once and removes it; 0 when the key is absent. @throws TypeAssertionError when it was no number */
export const popFloat = (request: object, key: string): number => pop(FLOAT, request, key);

/** Reads a time, to the millisecond; Go's zero time (0001-01-01) when the key is absent. @throws TypeAssertionError when the value is none */
export const getTime = (request: object, key: string): Date => get(TIME, request, key);
/** Sets a time. */
export const putTime = (request: object, key: string, value: Date): void => put(TIME, request, key, value);
/** Reads a time once and removes it; Go's zero time when the key is absent. @throws TypeAssertionError when it was none */
export const popTime = (request: object, key: string): Date => pop(TIME, request, key);

/** Reads bytes; none when the key is absent. @throws TypeAssertionError when the value is not bytes */
export const getBytes = (request: object, key: string): Uint8Array => get(BYTES, request, key);
/** Sets bytes. */
export const putBytes = (request: object, key: string, value: Uint8Array): void => put(BYTES, request, key, value);
/** Reads bytes once and removes them; none when the key is absent. @throws TypeAssertionError when the value was not bytes */
export const popBytes = (request: object, key: string): Uint8Array => pop(BYTES, request, key);

/**
 * Reads a plain object or array; undefined when the key is absent.
 *
 * An object that a Go program put is in Go's own encoding (gob) and can't be read here; its bytes come with getBytes.
 *
 * @throws TypeAssertionError when the value is neither
 */
export const getObject = <T extends object>(request: object, key: string): T | undefined =>
  get(objectKind<T>(), request, key);
/** Sets a plain object or array. */
export const putObject = (request: object, key: string, value: object): void => put(objectKind(), request, key, value);
/** Reads a plain object or array once and removes it; undefined when the key is absent. @throws TypeAssertionError when it was neither */
export const popObject = <T extends object>(request: object, key: string): T | undefined =>
  pop(objectKind<T>(), request, key);

function objectKind<T extends object>(): Kind<T | undefined> {
  return {
    name: "an object",
    read: (value) =>
      typeof value === "object" && value !== null && !(value instanceof Date) && !(value instanceof Uint8Array)
        ? (value as T)
        : undefined,
    zero: () => undefined,
  };
}
