import { createHash, hash, randomBytes } from "node:crypto";

const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/**
 * Makes a token: 256 random bits in base64url, 43 characters. A random source that fails throws; there is no other.
 *
 * @see OWASP ASVS 5.0.0, 7.2.3 and 11.5.1
 */
export function createToken(random: (size: number) => Buffer = randomBytes): string {
  return random(32).toString("base64url");
}

/** Says whether a cookie's value has the form of a token; nothing else is hashed or looked up. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** The id of a token: SHA-256 of its characters in base64url. SCS v2 stores the same with HashTokenInStore. */
export function idOf(token: string): string {
  return sha256(token);
}

/** SHA-256 of a text's UTF-8, in base64url, 43 characters. */
export function sha256(text: string): string {
  return hash("sha256", text, "base64url");
}

/** SHA-256 of bytes, in base64. */
export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}

/** A B-tree of PostgreSQL takes keys up to a third of a page; no token of ours is near that. */
const MAX_KEY_LENGTH = 1024;

/** The key of a row that is no session: see postgres/sql/fence.ts. No token and no id of ours has a colon. */
export const FENCE_KEY = "pgstore:fence";

/** Whether a store can keep a row under this key. Nothing is to be found under any other. */
export function isKey(key: unknown): key is string {
  return typeof key === "string" && key !== "" && key.length <= MAX_KEY_LENGTH && key !== FENCE_KEY && isText(key);
}

/** @throws TypeError when PostgreSQL could not store the key as it is, or the key is reserved */
export function assertKey(key: unknown): string {
  if (typeof key !== "string" || key === "" || key.length > MAX_KEY_LENGTH) {
    throw new TypeError(`token: must be a string of 1 to ${MAX_KEY_LENGTH} characters`);
  }
  if (key === FENCE_KEY) throw new TypeError(`token: "${FENCE_KEY}" is reserved`);
  if (!isText(key)) throw new TypeError("token: must be valid UTF-8 without NUL");
  return key;
}

function isText(key: string): boolean {
  return !key.includes("\0") && key.isWellFormed();
}
