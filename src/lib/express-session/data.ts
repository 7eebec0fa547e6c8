import { wrong } from "../core/options.ts";
import { isObject } from "../core/value.ts";

/**
 * A session of express-session or @fastify/session as its store receives it. The store reads only the cookie's expiry.
 *
 * Another program may have stored a session without a cookie.
 */
export interface ExpressSessionData {
  cookie: {
    expires?: Date | string | boolean | null | undefined;
    /** Time in milliseconds until the cookie expires. */
    maxAge?: number | null | undefined;
  };
}

/**
 * Encodes a session as JSON.
 *
 * @throws TypeError when the session is not an object or can't be written as JSON
 */
export function sessionBytes(session: ExpressSessionData): Uint8Array {
  if (!isObject(session)) throw wrong("session", "an object", session);
  return new TextEncoder().encode(JSON.stringify(session));
}

/**
 * Decodes a session that `sessionBytes` or the package connect-pg-simple has encoded.
 *
 * @param expiry - the row's expiry, which becomes `cookie.expires` if the cookie has one
 * @returns undefined when the data is not a session
 */
export function parseSession(data: Uint8Array, expiry: Date): ExpressSessionData | undefined {
  let session: unknown;
  try {
    session = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch {
    return undefined;
  }
  if (!isObject(session)) return undefined;
  const { cookie } = session;
  // A cookie that ends with the browser has no `expires`, and must not get one.
  if (isObject(cookie) && cookie["expires"]) cookie["expires"] = expiry;
  // Both packages copy keys by assignment, which would make this value the session's prototype.
  Reflect.deleteProperty(session, "__proto__");
  return session as unknown as ExpressSessionData;
}

/**
 * Returns the instant at which the cookie and its session expire: the cookie's `expires`, or else now plus `maxAge`.
 *
 * @param now - returns milliseconds since 1970. Called only if needed
 * @param ttl - lifetime in milliseconds of a session whose cookie has no valid `expires` or `maxAge`
 */
export async function expiryOf(
  session: ExpressSessionData,
  now: () => number | Promise<number>,
  ttl: number,
): Promise<Date> {
  const { expires, maxAge } = (session?.cookie ?? {}) as Partial<ExpressSessionData["cookie"]>;
  if (expires instanceof Date || typeof expires === "string" || typeof expires === "number") {
    const expiry = new Date(expires);
    if (!Number.isNaN(expiry.getTime())) return expiry;
  }
  const expiry = new Date((await now()) + (typeof maxAge === "number" && Number.isFinite(maxAge) ? maxAge : ttl));
  return Number.isNaN(expiry.getTime()) ? new Date(8.64e15) : expiry;
}
