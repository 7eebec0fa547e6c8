import { type CookieAttributes, type CookieScope, scopeOf, setCookie } from "../http/cookie.ts";
import { shown } from "../core/duration.ts";
import { createToken } from "../core/token.ts";
import { bool, HTTP_TOKEN, known } from "./check-option.ts";

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

const PREFIXES = ["", "__Host-", "__Secure-", "__Http-", "__Host-Http-"];

const DEFAULTS = {
  name: "session",
  path: "/",
  secure: "auto",
  httpOnly: true,
  sameSite: "lax",
  partitioned: false,
  persist: false,
} as const;

const NAMES = [...Object.keys(DEFAULTS), "domain", "prefix", "previous"];

/** @throws TypeError that names the option */
export function resolveCookie(given: CookieOptions): ResolvedCookie {
  known("cookie.", given, NAMES);
  const options = { ...DEFAULTS, ...dropUndefined(given) };
  const { prefix = "", sameSite } = options;
  if (!PREFIXES.includes(prefix)) {
    throw new TypeError(`cookie.prefix: must be one of ${PREFIXES.slice(1).join(", ")}`);
  }
  if (typeof options.name !== "string" || !HTTP_TOKEN.test(options.name)) {
    throw new TypeError(`cookie.name: ${shown(options.name)} is not a cookie name`);
  }
  const name = prefix !== "" && options.name.startsWith(prefix) ? options.name : prefix + options.name;
  const { path, domain } = resolveScope("cookie", options.path, options.domain);
  if (![false, "lax", "strict", "none"].includes(sameSite)) {
    throw new TypeError('cookie.sameSite: must be "lax", "strict", "none" or false');
  }
  const partitioned = bool("cookie.partitioned", options.partitioned);
  const secure = resolveSecure(name, options.secure, sameSite === "none", partitioned);
  const isHostOnly = /^__host-/i.test(name);
  if (isHostOnly) {
    if (domain !== undefined) throw new TypeError("cookie.domain: a cookie with the prefix __Host- has none");
    if (path !== "/") throw new TypeError('cookie.path: a cookie with the prefix __Host- has the path "/"');
  }
  const httpOnly = bool("cookie.httpOnly", options.httpOnly);
  if (!httpOnly && /^__(?:host-)?http-/i.test(name)) {
    throw new TypeError("cookie.httpOnly: a cookie with the prefix __Http- or __Host-Http- must be HttpOnly");
  }
  const cookie = { name, path, domain, httpOnly, sameSite, partitioned };
  try {
    if (setCookie(cookie, true, createToken()).split(";", 1).join("").length > 4096) throw new TypeError("too long");
  } catch (cause) {
    throw new TypeError("cookie.name: no browser would take this cookie", { cause });
  }
  const previous = resolvePrevious(options.previous, cookie);
  if (isHostOnly && previous.length > 0) {
    throw new TypeError("cookie.previous: a cookie with the prefix __Host- has had no other domain or path");
  }
  return { cookie, secure, persist: bool("cookie.persist", options.persist), previous };
}

function resolveScope(option: string, path: unknown, domain: unknown): CookieScope {
  if (typeof path !== "string" || !/^(?:|\/[\u0020-\u003a\u003c-\u007e]*)$/.test(path) || path.length > 1024) {
    throw new TypeError(
      `${option}.path: must be "" or begin with "/", without ";" and control characters, up to 1024 characters`,
    );
  }
  if (domain === undefined) return { path, domain };
  if (typeof domain !== "string" || !/^\.?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(domain)) {
    throw new TypeError(`${option}.domain: must be a host name`);
  }
  return { path, domain };
}

/** @throws TypeError when it isn't an array of scopes, or the cookie would remove itself */
function resolvePrevious(given: unknown = [], cookie: CookieAttributes): CookieScope[] {
  if (!Array.isArray(given)) throw new TypeError("cookie.previous: must be an array of { domain, path }");
  return (given as readonly PreviousScope[]).map((one, index) => {
    const option = `cookie.previous[${index}]`;
    known(`${option}.`, one, ["domain", "path"]);
    const scope = resolveScope(option, one.path ?? "/", one.domain);
    if (scopeOf({ ...scope, partitioned: cookie.partitioned }) === scopeOf(cookie)) {
      throw new TypeError(`${option}: this is the domain and path that the cookie has now`);
    }
    return scope;
  });
}

/** Some options make no sense without Secure: with "auto" they turn it on, with false they contradict. */
function resolveSecure(name: string, secure: unknown, sameSiteNone: boolean, partitioned: boolean): boolean | "auto" {
  if (secure !== "auto" && typeof secure !== "boolean")
    throw new TypeError('cookie.secure: must be a boolean or "auto"');
  // Browsers compare prefixes case-insensitively: RFC 6265bis, section 5.7.
  const reasons = [
    /^__(?:host|secure|http)-/i.test(name) && "a cookie with the prefix __Host-, __Secure- or __Http-",
    sameSiteNone && 'sameSite: "none"',
    partitioned && "partitioned: true",
  ].filter((reason) => reason !== false);
  if (reasons.length === 0) return secure;
  if (secure === false) throw new TypeError(`cookie.secure: ${reasons.join(" and ")} must be Secure`);
  return true;
}

function dropUndefined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
