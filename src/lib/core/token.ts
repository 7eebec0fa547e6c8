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

/** A B-tree of PostgreSQL takes keys up to a third of a page; no id of ours is near that. */
const MAX_ID_CHARACTERS = 1024;

/** The id of a row that is no session: see postgres/sql/fence.ts. No token and no id of ours has a colon. */
export const FENCE_ID = "pgstore:fence";

/** Says whether a store can keep a row under this id. Nothing is to be found under any other. */
export function isId(id: unknown): id is string {
  return isKeyText(id) && id !== FENCE_ID;
}

/** @throws TypeError when PostgreSQL could not store the id as it is, or the id is reserved; it never quotes the id, which may be a token */
export function assertId(id: unknown): string {
  if (id === FENCE_ID) throw new TypeError(`id: "${FENCE_ID}" is reserved`);
  if (isKeyText(id)) return id;
  throw new TypeError(`id: expected 1 to ${MAX_ID_CHARACTERS} characters of valid UTF-8 without NUL`);
}

function isKeyText(id: unknown): id is string {
  return (
    typeof id === "string" && id !== "" && id.length <= MAX_ID_CHARACTERS && !id.includes("\0") && id.isWellFormed()
  );
}
