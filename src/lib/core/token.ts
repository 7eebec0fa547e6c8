import { createHash, hash, randomBytes } from "node:crypto";

const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/**
 * Makes a token: 256 random bits in base64url, 43 characters. Throws when the random source fails: there is no
 * fallback.
 *
 * @see OWASP ASVS 5.0.0, 7.2.3 and 11.5.1
 */
export function createToken(random: (size: number) => Buffer = randomBytes): string {
  return random(32).toString("base64url");
}

/** Tells whether a text has the form of a token. Other texts are neither hashed nor looked up. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Returns the id of a token: the SHA-256 of its characters, in base64url. SCS v2 stores the same with HashTokenInStore. */
export function idOf(token: string): string {
  return sha256(token);
}

/** Returns the SHA-256 of a text in UTF-8, as 43 characters of base64url. */
export function sha256(text: string): string {
  return hash("sha256", text, "base64url");
}

/** Returns the SHA-256 of bytes, in base64. */
export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}

/** Maximum length of an id. A B-tree of PostgreSQL takes keys up to a third of a page. The ids of sessions have 43 characters. */
const MAX_ID_CHARACTERS = 1024;

/** The id of the fence, a row that is no session: see postgres/sql/fence.ts. The ids of sessions have no colon. */
export const FENCE_ID = "pgstore:fence";

/** Tells whether a store can have a row under this id. */
export function isId(id: unknown): id is string {
  return isKeyText(id) && id !== FENCE_ID;
}

/** Returns the id. @throws TypeError, without quoting the id, which may be a token, when PostgreSQL can't store it or it is reserved */
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
