import { wrong } from "../core/options.ts";

/**
 * A session of express-session or @fastify/session as its store sees it: an object of which only the cookie's end counts.
 * Another program may have written one without a cookie.
 */
export interface ExpressSessionData {
  cookie: {
    expires?: Date | string | boolean | null | undefined;
    /** Milliseconds. */
    maxAge?: number | null | undefined;
  };
}

/** @throws TypeError when it can't be written as JSON */
export function sessionBytes(session: ExpressSessionData): Uint8Array {
  if (!isObject(session)) throw wrong("session", "an object", session);
  return new TextEncoder().encode(JSON.stringify(session));
}

/**
 * Reads what `sessionBytes` or the package connect-pg-simple wrote.
 *
 * @returns undefined when it is anything else; the row is better left alone
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
  // A cookie that ends with the browser has none, and must not get one.
  if (isObject(cookie) && cookie["expires"]) cookie["expires"] = expiry;
  // Both hosts copy keys by assignment, and this one would then be the session's prototype.
  Reflect.deleteProperty(session, "__proto__");
  return session as unknown as ExpressSessionData;
}

/**
 * Finds the instant at which the cookie ends, and the session with it: its `expires`, or else now and its `maxAge`.
 *
 * @param now - milliseconds since 1970, asked for only where it counts
 * @param ttl - milliseconds that a session lasts whose cookie has neither, or what is no date
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
