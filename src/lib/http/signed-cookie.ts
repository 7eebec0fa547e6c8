import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

/** A secret that signs cookies. */
export type CookieSecret = string | Uint8Array;

/**
 * Verifies a cookie signed by express-session (`s:value.signature`) or @fastify/session (`value.signature`). The
 * signature is the value's HMAC-SHA256 in base64 without padding.
 *
 * @param cookie - the cookie's value as it is in the header
 * @param secrets - the accepted secrets, the current one first
 * @returns the signed value and the secret that fits, or undefined when none does
 */
export function verifySignedCookie(
  cookie: string,
  secrets: readonly CookieSecret[],
): { value: string; secret: CookieSecret } | undefined {
  const text = decoded(cookie)?.replace(/^s:/, "");
  const dot = text?.lastIndexOf(".") ?? -1;
  if (text === undefined || dot <= 0) return undefined;
  const value = text.slice(0, dot);
  const signature = Buffer.from(text.slice(dot + 1));
  for (const secret of secrets) {
    const expected = Buffer.from(sign(value, secret).toString("base64").replace(/=+$/, ""));
    if (expected.length === signature.length && timingSafeEqual(expected, signature)) return { value, secret };
  }
  return undefined;
}

/**
 * Derives the token of the session that continues another package's session. Deriving it takes the signed cookie and
 * the secret. Parallel requests in all processes derive the same one.
 */
export function continuedToken(sessionId: string, secret: CookieSecret): string {
  return sign(`pgstore continues ${sessionId}`, secret).toString("base64url");
}

function sign(value: string, secret: CookieSecret): Buffer {
  return createHmac("sha256", secret).update(value).digest();
}

function decoded(cookie: string): string | undefined {
  try {
    return decodeURIComponent(cookie.replace(/^"(.*)"$/, "$1"));
  } catch {
    return undefined;
  }
}
