import { type CookieAttributes, type CookieScope, scopeOf, setCookie } from "../http/cookie.ts";
import { OptionReader, wrong } from "../core/options.ts";
import { createToken } from "../core/token.ts";

/** Options of the session's cookie. */
export interface CookieOptions {
  /** The cookie's name, a token of RFC 9110. Default `"session"`. */
  name?: string | undefined;
  /** The attribute Path. `""` leaves it out, which limits the cookie to the folder of the request's path. Default `"/"`. */
  path?: string | undefined;
  /** The attribute Domain. Default: none, which limits the cookie to the host that set it. */
  domain?: string | undefined;
  /** The attribute Secure. Default `"auto"`: set when the request came over TLS, or when another option requires it. */
  secure?: boolean | "auto" | undefined;
  /** The attribute HttpOnly, which hides the cookie from scripts. Default true. */
  httpOnly?: boolean | undefined;
  /** The attribute SameSite. `"none"` requires Secure. False leaves it out. Default `"lax"`. */
  sameSite?: "lax" | "strict" | "none" | false | undefined;
  /**
   * The attribute Partitioned, which requires Secure. Default false.
   *
   * @see https://developer.mozilla.org/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies
   */
  partitioned?: boolean | undefined;
  /** Whether the cookie outlives the browser's session, as `rememberMe(true)` makes it. Default false. */
  persist?: boolean | undefined;
  /**
   * A prefix of the name. Browsers then require Secure, for `__Host-` and `__Host-Http-` also Path=/ and no Domain. Browsers that know
   * `__Http-` and `__Host-Http-` require HttpOnly for them, so that no script can set such a cookie. Default: none.
   */
  prefix?: "__Host-" | "__Secure-" | "__Http-" | "__Host-Http-" | undefined;
  /**
   * The scopes of the cookie in earlier releases of the application. Each response that sets or clears the cookie also removes it from
   * these. Default: none.
   */
  previous?: readonly PreviousScope[] | undefined;
}

/** A domain and a path for which an earlier release of the application set the cookie. */
export interface PreviousScope {
  /** The attribute Domain. Default: none, for a cookie that was limited to its host. */
  domain?: string | undefined;
  /** The attribute Path. Default `"/"`. */
  path?: string | undefined;
}

const PREFIXES = ["__Host-", "__Secure-", "__Http-", "__Host-Http-", ""] as const;
/** Browsers refuse a cookie whose name and value are longer. */
const MAX_COOKIE_BYTES = 4096;

/** Matches a token of HTTP. @see RFC 9110, section 5.6.2 */
export const HTTP_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Checks the cookie's options and fills in the defaults. @throws TypeError, naming the option, when one is wrong */
export function resolveCookie(given: unknown) {
  const read = new OptionReader(given, "cookie.");
  const prefix = read.choice("prefix", PREFIXES, "");
  const baseName = read.text("name", "session", "a cookie name", HTTP_TOKEN);
  const name = prefix !== "" && baseName.startsWith(prefix) ? baseName : prefix + baseName;
  const { path, domain } = resolveScope(read);
  const sameSite = read.choice("sameSite", ["lax", "strict", "none", false], "lax");
  const partitioned = read.bool("partitioned", false);
  const secure = resolveSecure(
    name,
    read.choice("secure", [true, false, "auto"], "auto"),
    sameSite === "none",
    partitioned,
  );
  const isHostOnly = /^__host-/i.test(name);
  if (isHostOnly && domain !== undefined) throw read.wrong("domain", "no domain with the prefix __Host-");
  if (isHostOnly && path !== "/") throw read.wrong("path", '"/" with the prefix __Host-');
  const httpOnly = read.bool("httpOnly", true);
  if (!httpOnly && /^__(?:host-)?http-/i.test(name)) {
    throw read.wrong("httpOnly", "true with the prefix __Http- or __Host-Http-");
  }
  const cookie: CookieAttributes = { name, path, domain, httpOnly, sameSite, partitioned };
  try {
    if (setCookie(cookie, true, createToken()).split(";", 1).join("").length > MAX_COOKIE_BYTES)
      throw new TypeError("too long");
  } catch (cause) {
    throw new TypeError("cookie.name: expected a name that browsers accept, got one that is too long or malformed", {
      cause,
    });
  }
  const previous = resolvePrevious(read.value("previous", []), cookie);
  if (isHostOnly && previous.length > 0) {
    throw read.wrong("previous", "no scopes with the prefix __Host-, which allows no other domain or path");
  }
  const persist = read.bool("persist", false);
  read.end();
  return { cookie, secure, persist, previous };
}

function resolveScope(read: OptionReader): CookieScope {
  const expected = '"" or at most 1024 characters that begin with "/", without ";" and control characters';
  const path = read.text("path", "/", expected, /^(?:|\/[\u0020-\u003a\u003c-\u007e]{0,1023})$/);
  return { path, domain: read.text("domain", undefined, "a host name", /^\.?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i) };
}

/** Checks the option `previous`. @throws TypeError when it is no array of scopes, or when a scope is the cookie's own */
function resolvePrevious(given: unknown, cookie: CookieAttributes): readonly CookieScope[] {
  if (!Array.isArray(given)) throw wrong("cookie.previous", "an array of { domain, path }", given);
  return (given as unknown[]).map((one, index) => {
    const option = `cookie.previous[${index}]`;
    const read = new OptionReader(one, `${option}.`);
    const scope = resolveScope(read);
    read.end();
    if (scopeOf({ ...scope, partitioned: cookie.partitioned }) === scopeOf(cookie)) {
      throw new TypeError(`${option}: expected an earlier domain and path, got the current ones of the cookie`);
    }
    return scope;
  });
}

/** Turns Secure on for options that require it. @throws TypeError when such an option meets `secure: false` */
function resolveSecure(
  name: string,
  secure: boolean | "auto",
  sameSiteNone: boolean,
  partitioned: boolean,
): boolean | "auto" {
  // Browsers compare prefixes case-insensitively: RFC 6265bis, section 5.7.
  const reasons = [
    /^__(?:host|secure|http)-/i.test(name) && "a cookie with the prefix __Host-, __Secure- or __Http-",
    sameSiteNone && 'sameSite: "none"',
    partitioned && "partitioned: true",
  ].filter((reason) => reason !== false);
  if (reasons.length === 0) return secure;
  if (secure === false) throw wrong("cookie.secure", `true or "auto" with ${reasons.join(" and ")}`, secure);
  return true;
}
