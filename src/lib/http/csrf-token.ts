import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const BYTES = 32;

/**
 * Makes a CSRF token for a session's token: an HMAC under a random mask. The text differs on each call, so a compressed page does not leak it
 * (BREACH).
 *
 * @returns base64url, 86 characters
 * @see https://www.breachattack.com; OWASP CSRF Prevention Cheat Sheet, "Employing HMAC CSRF Tokens"
 */
export function csrfTokenOf(token: string): string {
  const mask = randomBytes(BYTES);
  return Buffer.concat([mask, xor(mask, macOf(token))]).toString("base64url");
}

/** Tells whether a value is a CSRF token for a session's token. It takes the same time whichever bytes differ. */
export function isCsrfTokenOf(token: string, presented: unknown): boolean {
  if (typeof presented !== "string" || !/^[A-Za-z0-9_-]{86}$/.test(presented)) return false;
  const bytes = Buffer.from(presented, "base64url");
  // The last character has unused bits, so several texts decode to the same bytes. Only one is accepted.
  if (bytes.toString("base64url") !== presented) return false;
  return timingSafeEqual(xor(bytes.subarray(0, BYTES), bytes.subarray(BYTES)), macOf(token));
}

/** Computes the HMAC. Its key is the session's token, a secret of 256 bits that only the server and the browser know. */
function macOf(token: string): Buffer {
  return createHmac("sha256", token).update("pgstore csrf").digest();
}

function xor(one: Uint8Array, other: Uint8Array): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ (other[index] ?? 0)));
}
