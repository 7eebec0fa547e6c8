import { stringifySetCookie } from "cookie";
import { lowerAscii, trimBlanks } from "./ascii.ts";
import { systemNow } from "../core/time.ts";

/** Where a browser keeps a cookie: it holds one of a name for each scope. */
export interface CookieScope {
  /** `""`: the folder of the request's path. */
  path: string;
  /** Undefined: the host alone. */
  domain: string | undefined;
}

/** The attributes of a session's cookie, as they go into each Set-Cookie. */
export interface CookieAttributes extends CookieScope {
  name: string;
  httpOnly: boolean;
  sameSite: "lax" | "strict" | "none" | false;
  partitioned: boolean;
}

/** Browsers cap a cookie's life at 400 days. @see RFC 6265bis, section 5.5 */
const LONGEST_MAX_AGE = 400 * 24 * 3600;

/**
 * Writes the Set-Cookie that hands a token to the client.
 *
 * @param life - the instants, in milliseconds since 1970, between which a persistent cookie lives; both of its
 *   attributes come from them, rounded up to the second. Without it the cookie ends with the browser's session.
 */
export function setCookie(
  attributes: CookieAttributes,
  secure: boolean,
  token: string,
  life?: { now: number; expiry: number },
): string {
  return stringifySetCookie(
    { ...attributesOf(attributes, secure), value: token, ...(life === undefined ? {} : lifeOf(life)) },
    { encode: String },
  );
}

function lifeOf({ now, expiry }: { now: number; expiry: number }): { maxAge: number; expires: Date } {
  const maxAge = Math.min(Math.max(Math.ceil((expiry - now) / 1000), 1), LONGEST_MAX_AGE);
  const end = Math.min(expiry, now + maxAge * 1000);
  return { maxAge, expires: new Date(Math.ceil(end / 1000) * 1000) };
}

/** Writes the Set-Cookie that removes the cookie: the same attributes, or the browser would keep it. */
export function clearCookie(attributes: CookieAttributes, secure: boolean): string {
  const past = { maxAge: 0, expires: new Date(1000) };
  return stringifySetCookie({ ...attributesOf(attributes, secure), value: "", ...past });
}

/** Says whether a Set-Cookie header has this cookie's name, unless all that it does is to remove such a cookie from another scope. */
export function replacesCookie(attributes: CookieAttributes, header: string): boolean {
  const [pair = "", ...parts] = header.split(";");
  if (trimBlanks(pair.split("=", 1)[0] ?? "") !== attributes.name) return false;
  const given = new Map(
    parts.map((part) => {
      const [name = "", ...value] = part.split("=");
      return [lowerAscii(trimBlanks(name)), trimBlanks(value.join("="))];
    }),
  );
  const path = given.get("path") ?? "";
  const scope = scopeOf({
    path: path.startsWith("/") ? path : "",
    domain: given.get("domain"),
    partitioned: given.has("partitioned"),
  });
  return scope === scopeOf(attributes) || !isExpired(given.get("max-age"), given.get("expires"));
}

/** The same text for the same scope, however it is written. */
export function scopeOf({ path, domain, partitioned }: CookieScope & { partitioned?: boolean }): string {
  const host = lowerAscii(domain ?? "").replace(/^\./, "");
  return JSON.stringify([host, path, partitioned === true]);
}

/** @see RFC 6265bis, section 5.7 */
function isExpired(maxAge: string | undefined, expires: string | undefined): boolean {
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0;
  return expires !== undefined && Date.parse(expires) <= systemNow();
}

function attributesOf(attributes: CookieAttributes, secure: boolean) {
  const { name, path, domain, httpOnly, sameSite, partitioned } = attributes;
  return {
    name,
    ...(path === "" ? {} : { path }),
    ...(domain === undefined ? {} : { domain }),
    httpOnly,
    secure,
    ...(sameSite === false ? {} : { sameSite }),
    partitioned,
  };
}
