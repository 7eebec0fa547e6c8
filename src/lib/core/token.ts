import { randomBytes } from "node:crypto";
import { sha256 } from "./sha256.ts";

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
