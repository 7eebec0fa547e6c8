import { type CookieAttributes, type CookieScope, scopeOf, setCookie } from "../http/cookie.ts";
import { OptionReader, wrong } from "../core/options.ts";
import { createToken } from "../core/token.ts";

/** How the cookie looks. */
export interface CookieOptions {
  /** An RFC 9110 token; default `"session"`. */
  name?: string | undefined;
  /** Default `"/"`; `""` leaves the attribute out, which limits the cookie to the path that set it. */
  path?: string | undefined;
  /** Default: none, which limits the cookie to the host that set it. */
  domain?: string | undefined;
  /** Default `"auto"`: Secure when the request came over TLS, or when another option demands it. */
  secure?: boolean | "auto" | undefined;
  /** Default true. */
  httpOnly?: boolean | undefined;
  /** Default `"lax"`; `"none"` needs Secure; false leaves the attribute out. */
  sameSite?: "lax" | "strict" | "none" | false | undefined;
  /** Default false; needs Secure. @see https://developer.mozilla.org/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies */
  partitioned?: boolean | undefined;
  /** Default false: the cookie ends with the browser's session. True, or `rememberMe(true)`, adds Expires and Max-Age. */
  persist?: boolean | undefined;
  /**
   * Put before the name. Browsers then insist on Secure, for `__Host-` and `__Host-Http-` on Path=/ and no Domain, and those that
   * know them for `__Http-` and `__Host-Http-` on HttpOnly, so that no script can set such a cookie.
   */
  prefix?: "__Host-" | "__Secure-" | "__Http-" | "__Host-Http-" | undefined;
  /**
   * The scopes that the cookie had in earlier releases. Each response that sets or clears the cookie removes it from these as well.
   * Default: none.
   */
  previous?: readonly PreviousScope[] | undefined;
}

/** A domain and a path that the session's cookie was set for by an earlier release. */
export interface PreviousScope {
  /** Default: none, as for a cookie that was limited to its host. */
  domain?: string | undefined;
  /** Default `"/"`. */
  path?: string | undefined;
}

/** The cookie's options, checked and with their defaults. */
export interface ResolvedCookie {
  cookie: CookieAttributes;
  secure: boolean | "auto";
  persist: boolean;
  previous: readonly CookieScope[];
}

const PREFIXES = ["__Host-", "__Secure-", "__Http-", "__Host-Http-", ""] as const;
/** Browsers refuse a longer name and value together. */
const MAX_COOKIE_BYTES = 4096;

/** @see RFC 9110, section 5.6.2 */
export const HTTP_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** @throws TypeError that names the option */
export function resolveCookie(given: unknown): ResolvedCookie {
  const read = new OptionReader(given, "cookie.");
  const prefix = read.choice("prefix", PREFIXES, "");
  const baseName = read.value("name", "session");
  if (typeof baseName !== "string" || !HTTP_TOKEN.test(baseName)) throw read.wrong("name", "a cookie name");
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
  if (isHostOnly && domain !== undefined) throw read.wrong("domain", "none beside the prefix __Host-");
  if (isHostOnly && path !== "/") throw read.wrong("path", '"/" beside the prefix __Host-');
  const httpOnly = read.bool("httpOnly", true);
  if (!httpOnly && /^__(?:host-)?http-/i.test(name)) {
    throw read.wrong("httpOnly", "true beside the prefix __Http- or __Host-Http-");
  }
  const cookie = { name, path, domain, httpOnly, sameSite, partitioned };
  try {
    if (setCookie(cookie, true, createToken()).split(";", 1).join("").length > MAX_COOKIE_BYTES)
      throw new TypeError("too long");
  } catch (cause) {
    throw new TypeError("cookie.name: expected a name that browsers take, which this one is not", { cause });
  }
  const previous = resolvePrevious(read.value("previous", []), cookie);
  if (isHostOnly && previous.length > 0) {
    throw read.wrong("previous", "none beside the prefix __Host-, which allows no other domain or path");
  }
  const persist = read.bool("persist", false);
  read.end();
  return { cookie, secure, persist, previous };
}

function resolveScope(read: OptionReader): CookieScope {
  const path = read.value("path", "/");
  const domain = read.value("domain");
  if (typeof path !== "string" || !/^(?:|\/[\u0020-\u003a\u003c-\u007e]*)$/.test(path) || path.length > 1024) {
    throw read.wrong("path", '"" or up to 1024 characters that begin with "/", without ";" and control characters');
  }
  if (domain === undefined) return { path, domain };
  if (typeof domain !== "string" || !/^\.?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(domain)) {
    throw read.wrong("domain", "a host name");
  }
  return { path, domain };
}

/** @throws TypeError when it isn't an array of scopes, or the cookie would remove itself */
function resolvePrevious(given: unknown, cookie: CookieAttributes): CookieScope[] {
  if (!Array.isArray(given)) throw wrong("cookie.previous", "an array of { domain, path }", given);
  return (given as unknown[]).map((one, index) => {
    const option = `cookie.previous[${index}]`;
    const read = new OptionReader(one, `${option}.`);
    const scope = resolveScope(read);
    read.end();
    if (scopeOf({ ...scope, partitioned: cookie.partitioned }) === scopeOf(cookie)) {
      throw new TypeError(`${option}: expected an earlier domain and path, got those that the cookie has now`);
    }
    return scope;
  });
}

/** Some options make no sense without Secure: with "auto" they turn it on, with false they contradict. */
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
  if (secure === false) throw wrong("cookie.secure", `true or "auto" beside ${reasons.join(" and ")}`, secure);
  return true;
}
