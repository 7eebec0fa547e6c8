import { TypeAssertionError } from "../core/errors.ts";
import { decodeBase64, parseRfc3339 } from "../codec/go-json.ts";
import { sessionOf } from "./manage.ts";

/** One of SCS's value types: how it reads a stored value, and its zero value for an absent key. */
interface Kind<T> {
  /** Completes the error message "not …". */
  name: string;
  /** Returns undefined when the value has another type. */
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

const OBJECT: Kind<object | undefined> = {
  name: "an object",
  read: (value) => {
    if (typeof value !== "object" || value === null) return undefined;
    return value instanceof Date || value instanceof Uint8Array ? undefined : value;
  },
  zero: () => undefined,
};

function get<T>(kind: Kind<T>, request: object, key: string): T {
  const session = sessionOf(request);
  return session.has(key) ? assert(kind, key, session.get(key)) : kind.zero();
}

function pop<T>(kind: Kind<T>, request: object, key: string): T {
  const session = sessionOf(request);
  const present = session.has(key);
  // An absent key is popped as well, because SCS returns ErrAlreadyWritten for it too.
  const value = session.pop(key);
  return present ? assert(kind, key, value) : kind.zero();
}

function assert<T>(kind: Kind<T>, key: string, value: unknown): T {
  const read = kind.read(value);
  if (read === undefined) throw new TypeAssertionError(key, kind.name);
  return read;
}

/** Sets a value. @throws TypeError when `get` of the same type would refuse the value */
function put<T>(kind: Kind<T>, request: object, key: string, value: T): void {
  if (kind.read(value) === undefined) {
    throw new TypeError(`session key ${JSON.stringify(key)}: the value is not ${kind.name}`);
  }
  sessionOf(request).set(key, value);
}

/**
 * Returns a string, or `""` when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a string
 */
export const getString = (request: object, key: string): string => get(STRING, request, key);
/** Sets a string. @throws TypeError when the value is not a string */
export const putString = (request: object, key: string, value: string): void => put(STRING, request, key, value);
/**
 * Returns a string and removes it, or returns `""` when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a string
 */
export const popString = (request: object, key: string): string => pop(STRING, request, key);

/**
 * Returns a boolean, or false when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a boolean
 */
export const getBool = (request: object, key: string): boolean => get(BOOL, request, key);
/** Sets a boolean. @throws TypeError when the value is not a boolean */
export const putBool = (request: object, key: string, value: boolean): void => put(BOOL, request, key, value);
/**
 * Returns a boolean and removes it, or returns false when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a boolean
 */
export const popBool = (request: object, key: string): boolean => pop(BOOL, request, key);

/**
 * Returns an integer, or 0 when the key is absent.
 *
 * @throws TypeAssertionError when the value is not an integer, or is beyond 2^53, which a number can't hold: use `getInt64`
 */
export const getInt = (request: object, key: string): number => get(INT, request, key);
/** Sets an integer. @throws TypeError when the value is not an integer up to 2^53 */
export const putInt = (request: object, key: string, value: number): void => put(INT, request, key, value);
/**
 * Returns an integer and removes it, or returns 0 when the key is absent.
 *
 * @throws TypeAssertionError when the value is not an integer, or is beyond 2^53, which a number can't hold: use `popInt64`
 */
export const popInt = (request: object, key: string): number => pop(INT, request, key);

/**
 * Returns a 64-bit integer, or 0n when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a 64-bit integer
 */
export const getInt64 = (request: object, key: string): bigint => get(INT64, request, key);
/** Sets a 64-bit integer. A number is stored as a number, not as a bigint. @throws TypeError when the value is not a 64-bit integer */
export const putInt64 = (request: object, key: string, value: bigint | number): void =>
  put<bigint | number>(INT64, request, key, value);
/**
 * Returns a 64-bit integer and removes it, or returns 0n when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a 64-bit integer
 */
export const popInt64 = (request: object, key: string): bigint => pop(INT64, request, key);

/**
 * Returns a number, or 0 when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a number
 */
export const getFloat = (request: object, key: string): number => get(FLOAT, request, key);
/** Sets a number. @throws TypeError when the value is not a number */
export const putFloat = (request: object, key: string, value: number): void => put(FLOAT, request, key, value);
/**
 * Returns a number and removes it, or returns 0 when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a number
 */
export const popFloat = (request: object, key: string): number => pop(FLOAT, request, key);

/**
 * Returns a time, precise to the millisecond, or Go's zero time (0001-01-01) when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a time
 */
export const getTime = (request: object, key: string): Date => get(TIME, request, key);
/** Sets a time. @throws TypeError when the value is not a time */
export const putTime = (request: object, key: string, value: Date): void => put(TIME, request, key, value);
/**
 * Returns a time and removes it, or returns Go's zero time (0001-01-01) when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a time
 */
export const popTime = (request: object, key: string): Date => pop(TIME, request, key);

/**
 * Returns bytes, or an empty array when the key is absent.
 *
 * @throws TypeAssertionError when the value is not bytes
 */
export const getBytes = (request: object, key: string): Uint8Array => get(BYTES, request, key);
/** Sets bytes. @throws TypeError when the value is not bytes */
export const putBytes = (request: object, key: string, value: Uint8Array): void => put(BYTES, request, key, value);
/**
 * Returns bytes and removes them, or returns an empty array when the key is absent.
 *
 * @throws TypeAssertionError when the value is not bytes
 */
export const popBytes = (request: object, key: string): Uint8Array => pop(BYTES, request, key);

/**
 * Returns a plain object or array, or undefined when the key is absent.
 *
 * An object that a Go program has stored is in Go's own encoding (gob) and can't be decoded here. `getBytes` returns its bytes.
 *
 * @throws TypeAssertionError when the value is not a plain object or array
 */
export const getObject = <T extends object>(request: object, key: string): T | undefined =>
  get(OBJECT, request, key) as T | undefined;
/** Sets a plain object or array. @throws TypeError when the value is not a plain object or array */
export const putObject = (request: object, key: string, value: object): void => put(OBJECT, request, key, value);
/**
 * Returns a plain object or array and removes it, or returns undefined when the key is absent.
 *
 * @throws TypeAssertionError when the value is not a plain object or array
 */
export const popObject = <T extends object>(request: object, key: string): T | undefined =>
  pop(OBJECT, request, key) as T | undefined;
