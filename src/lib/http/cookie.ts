import { stringifySetCookie } from "cookie";
import { systemNow } from "../core/time.ts";
import { isBlank, lowerAscii, trimBlanks } from "./headers.ts";

/** Maximum number of cookies of one name that are read. */
const MAX_VALUES = 64;

/**
 * Finds the values of a cookie in a Cookie header, in order.
 *
 * Names are compared byte by byte. Percent-decoding them, or trimming more than the spaces and tabs that browsers trim, would let an attacker
 * forge a prefix such as `__Host-` (CVE-2020-8184). Values are not decoded, as a token needs no decoding.
 *
 * @param header - the value of the header, or several values joined by `;`
 * @param accept - tells whether a value counts
 * @returns the distinct accepted values, at most 64
 * @see RFC 6265bis, section 5.8.3
 */
export function cookieValues(
  header: string | undefined,
  name: string,
  accept: (value: string) => boolean,
): readonly string[] {
  if (header === undefined || !header.includes(name)) return NONE;
  const values: string[] = [];
  let start = 0;
  let equals = -1;
  while (start < header.length && values.length < MAX_VALUES) {
    let end = header.indexOf(";", start);
    if (end === -1) end = header.length;
    // Searched only past the previous `=`, so that many `;` before one `=` cost one scan in total.
    if (equals < start) equals = header.indexOf("=", start);
    if (equals === -1) break;
    const first = afterBlanks(header, start, end);
    if (equals < end && header.startsWith(name, first) && afterBlanks(header, first + name.length, end) === equals) {
      let value = header.slice(afterBlanks(header, equals + 1, end), end);
      if (value !== "" && value.charCodeAt(value.length - 1) <= 0x20) value = trimBlanks(value);
      if (accept(value) && !values.includes(value)) values.push(value);
    }
    start = end + 1;
  }
  return values;
}

const NONE: readonly string[] = [];

/** Returns the first place from `start` without a space or a tab. */
function afterBlanks(header: string, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(header.charCodeAt(at))) at++;
  return at;
}

/** The scope of a cookie. A browser keeps one cookie of a name for each scope. */
export interface CookieScope {
  /** The attribute Path. `""` leaves it out, which means the folder of the request's path. */
  path: string;
  /** The attribute Domain. Undefined leaves it out, which means the host alone. */
  domain: string | undefined;
}

/** The name and the attributes of a session's cookie. */
export interface CookieAttributes extends CookieScope {
  name: string;
  httpOnly: boolean;
  sameSite: "lax" | "strict" | "none" | false;
  partitioned: boolean;
}

/** Browsers limit a cookie's life to 400 days. @see RFC 6265bis, section 5.5 */
const MAX_AGE_SECONDS = 400 * 24 * 3600;

/** A cookie for a framework's cookie jar: `jar.set(cookie.name, cookie.value, cookie.options)`. */
export interface SessionCookie {
  readonly name: string;
  /** The token, or `""` to remove the cookie. Never log it. */
  readonly value: string;
  readonly options: SessionCookieOptions;
}

/** The attributes of a cookie, named as in the package `cookie`, which most frameworks use. */
export interface SessionCookieOptions {
  /** `""` leaves the attribute out. */
  readonly path: string;
  readonly domain?: string;
  readonly httpOnly: boolean;
  readonly secure: boolean;
  readonly sameSite: "lax" | "strict" | "none" | false;
  readonly partitioned: boolean;
  /** Seconds. Absent: the cookie ends with the browser's session. */
  readonly maxAge?: number;
  /** The expiry for clients that ignore Max-Age. */
  readonly expires?: Date;
}

/** The life of a persistent cookie, in milliseconds since 1970. */
export interface CookieLife {
  now: number;
  expiry: number;
}

/**
 * Makes the cookie that gives the client a token.
 *
 * @param life - Max-Age and Expires follow from it, rounded up to the second. Without it the cookie ends with the browser's session
 */
export function tokenCookie(
  attributes: CookieAttributes,
  secure: boolean,
  token: string,
  life?: CookieLife,
): SessionCookie {
  const options = { ...optionsOf(attributes, secure), ...(life === undefined ? {} : lifeOf(life)) };
  return { name: attributes.name, value: token, options };
}

/** Makes the cookie that removes the client's cookie. The browser keeps a cookie whose attributes differ. */
export function removedCookie(attributes: CookieAttributes, secure: boolean): SessionCookie {
  const options = { ...optionsOf(attributes, secure), maxAge: 0, expires: new Date(1000) };
  return { name: attributes.name, value: "", options };
}

/** Writes a cookie as the value of a Set-Cookie header. */
export function cookieText({ name, value, options }: SessionCookie): string {
  const { path, sameSite, ...others } = options;
  return stringifySetCookie(
    { name, value, ...others, ...(path === "" ? {} : { path }), ...(sameSite === false ? {} : { sameSite }) },
    { encode: String },
  );
}

/** Writes the Set-Cookie header that gives the client a token. @returns the header's value, which holds the token */
export function setCookie(...parameters: Parameters<typeof tokenCookie>): string {
  return cookieText(tokenCookie(...parameters));
}

function lifeOf({ now, expiry }: CookieLife): { maxAge: number; expires: Date } {
  const maxAge = Math.min(Math.max(Math.ceil((expiry - now) / 1000), 1), MAX_AGE_SECONDS);
  const end = Math.min(expiry, now + maxAge * 1000);
  return { maxAge, expires: new Date(Math.ceil(end / 1000) * 1000) };
}

/** Tells whether a Set-Cookie header has this cookie's name and does more than remove the cookie from another scope. */
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

/** Returns a text that is equal for equal scopes, regardless of spelling. */
export function scopeOf({ path, domain, partitioned }: CookieScope & { partitioned?: boolean }): string {
  const host = lowerAscii(domain ?? "").replace(/^\./, "");
  return JSON.stringify([host, path, partitioned === true]);
}

/** Tells whether the attributes make a browser remove the cookie. @see RFC 6265bis, section 5.7 */
function isExpired(maxAge: string | undefined, expires: string | undefined): boolean {
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0;
  return expires !== undefined && Date.parse(expires) <= systemNow();
}

function optionsOf(attributes: CookieAttributes, secure: boolean): SessionCookieOptions {
  const { path, domain, httpOnly, sameSite, partitioned } = attributes;
  return { path, ...(domain === undefined ? {} : { domain }), httpOnly, secure, sameSite, partitioned };
}
