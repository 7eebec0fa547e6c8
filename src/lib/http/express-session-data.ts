/** What a session of express-session or @fastify/session is to its store: an object of which only the cookie's end counts. */
export interface ExpressSessionData {
  cookie: { expires?: Date | string | boolean | null | undefined };
}

/** @throws TypeError when it can't be written as JSON */
export function sessionBytes(session: ExpressSessionData): Uint8Array {
  if (!isObject(session)) throw new TypeError("session: must be an object");
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
  if (!isObject(session) || !isObject(session["cookie"])) return undefined;
  const { cookie } = session;
  // A cookie that ends with the browser has none, and must not get one.
  if (cookie["expires"]) cookie["expires"] = expiry;
  // Both hosts copy keys by assignment, and this one would then be the session's prototype.
  Reflect.deleteProperty(session, "__proto__");
  return session as unknown as ExpressSessionData;
}

/**
 * The instant at which the cookie ends, and the session with it; undefined when the cookie has none.
 *
 * @throws TypeError when it is no date
 */
export function expiryOf(session: ExpressSessionData): Date | undefined {
  const expires = session?.cookie?.expires;
  if (!expires) return undefined;
  const expiry = new Date(expires as Date | string);
  if (Number.isNaN(expiry.getTime())) throw new TypeError("session.cookie.expires: must be a valid date");
  return expiry;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
