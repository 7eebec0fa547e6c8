import { stringifySetCookie } from "cookie";
import { systemNow } from "../core/time.ts";
import { lowerAscii, trimBlanks } from "./headers.ts";

/** Cookies of one name that are told apart. A browser sends more than one only when somebody tosses them, or a release has changed their scope. */
const MAX_VALUES = 64;

/**
 * Finds the values of one cookie in a request's Cookie header, in the order in which they came, in one pass.
 *
 * Names are compared byte by byte: percent-decoding them would let `%5F%5FHost-` forge a prefix (CVE-2020-8184), and so would
 * trimming more than the spaces and tabs that browsers trim. Values are not decoded either, as a token needs none.
 *
 * @param header - the Cookie header; several headers joined by `;`
 * @returns distinct values that `accept` takes, at most 64
 * @see RFC 6265bis, section 5.8.3
 */
export function cookieValues(header: string | undefined, name: string, accept: (value: string) => boolean): string[] {
  const values = new Set<string>();
  if (header === undefined || !header.includes(name)) return [];
  let start = 0;
  let equals = -1;
  while (start < header.length && values.size < MAX_VALUES) {
    let end = header.indexOf(";", start);
    if (end === -1) end = header.length;
    // Sought only when passed: a header of many `;` before one `=` costs one scan, not one for each.
    if (equals < start) equals = header.indexOf("=", start);
    if (equals === -1) break;
    if (equals < end && trimBlanks(header.slice(start, equals)) === name) {
      const value = trimBlanks(header.slice(equals + 1, end));
      if (accept(value)) values.add(value);
    }
    start = end + 1;
  }
  return [...values];
}

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
const MAX_AGE_SECONDS = 400 * 24 * 3600;

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
  const maxAge = Math.min(Math.max(Math.ceil((expiry - now) / 1000), 1), MAX_AGE_SECONDS);
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
