import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const BYTES = 32;

/**
 * Makes the CSRF token of a session's token: an HMAC under a fresh mask, so that it is another text each time and a compressed
 * page doesn't give it away letter by letter.
 *
 * @returns base64url, 86 characters
 * @see https://www.breachattack.com; OWASP CSRF Prevention Cheat Sheet, "Employing HMAC CSRF Tokens"
 */
export function csrfTokenOf(token: string): string {
  const mask = randomBytes(BYTES);
  return Buffer.concat([mask, xor(mask, macOf(token))]).toString("base64url");
}

/** Says whether a text is a CSRF token of this session's token. Takes as long whichever bytes differ. */
export function isCsrfTokenOf(token: string, presented: unknown): boolean {
  if (typeof presented !== "string" || !/^[A-Za-z0-9_-]{86}$/.test(presented)) return false;
  const bytes = Buffer.from(presented, "base64url");
  // The last character has bits to spare: a text that differs from ours is none of ours.
  if (bytes.toString("base64url") !== presented) return false;
  return timingSafeEqual(xor(bytes.subarray(0, BYTES), bytes.subarray(BYTES)), macOf(token));
}

/** The session's token is a secret of 256 bits that only the server and the browser know, so it is the key. */
function macOf(token: string): Buffer {
  return createHmac("sha256", token).update("pgstore csrf").digest();
}

function xor(one: Uint8Array, other: Uint8Array): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ (other[index] ?? 0)));
}
