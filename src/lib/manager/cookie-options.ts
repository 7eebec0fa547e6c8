import { shown } from "../base/duration.ts";
import { type CookieAttributes, setCookie } from "../base/cookie-text.ts";
import { createToken } from "../base/token.ts";
import { bool, HTTP_TOKEN, known } from "./check-option.ts";

/** How the cookie looks. */
export interface CookieOptions {
  /** An RFC 9110 token; default `"session"`. */
  name?: string;
  /** Default `"/"`; `""` leaves the attribute out, which limits the cookie to the path that set it. */
  path?: string;
  /** Default: none, which limits the cookie to the host that set it. */
  domain?: string;
  /** Default `"auto"`: Secure when the request came over TLS, or when another option demands it. */
  secure?: boolean | "auto";
  /** Default true. */
  httpOnly?: boolean;
  /** Default `"lax"`; `"none"` needs Secure; false leaves the attribute out. */
  sameSite?: "lax" | "strict" | "none" | false;
  /** Default false; needs Secure. @see https://developer.mozilla.org/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies */
  partitioned?: boolean;
  /** Default false: the cookie ends with the browser's session. True, or `rememberMe(true)`, adds Expires and Max-Age. */
  persist?: boolean;
  /** Put before the name; browsers then insist on Secure, and for `__Host-` on Path=/ and no Domain. */
  prefix?: "__Host-" | "__Secure-";
}

/** The cookie's options, checked and with their defaults. */
export interface ResolvedCookie {
  cookie: CookieAttributes;
  secure: boolean | "auto";
  persist: boolean;
}

const DEFAULTS = {
  name: "session",
  path: "/",
  secure: "auto",
  httpOnly: true,
  sameSite: "lax",
  partitioned: false,
  persist: false,
} as const;

const NAMES = [...Object.keys(DEFAULTS), "domain", "prefix"];

/** @throws TypeError that names the option */
export function resolveCookie(given: CookieOptions): ResolvedCookie {
  known("cookie.", given, NAMES);
  const options = { ...DEFAULTS, ...dropUndefined(given) };
  const { prefix = "", path, domain, sameSite } = options;
  if (prefix !== "" && prefix !== "__Host-" && prefix !== "__Secure-") {
    throw new TypeError('cookie.prefix: must be "__Host-" or "__Secure-"');
  }
  if (typeof options.name !== "string" || !HTTP_TOKEN.test(options.name)) {
    throw new TypeError(`cookie.name: ${shown(options.name)} is not a cookie name`);
  }
  const name = prefix !== "" && options.name.startsWith(prefix) ? options.name : prefix + options.name;
  if (typeof path !== "string" || !/^(?:|\/[\u0020-\u003a\u003c-\u007e]*)$/.test(path) || path.length > 1024) {
    throw new TypeError(
      'cookie.path: must be "" or begin with "/", without ";" and control characters, up to 1024 characters',
    );
  }
  if (domain !== undefined && (typeof domain !== "string" || !/^\.?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(domain))) {
    throw new TypeError("cookie.domain: must be a host name");
  }
  if (![false, "lax", "strict", "none"].includes(sameSite)) {
    throw new TypeError('cookie.sameSite: must be "lax", "strict", "none" or false');
  }
  const partitioned = bool("cookie.partitioned", options.partitioned);
  const secure = resolveSecure(name, options.secure, sameSite === "none", partitioned);
  if (/^__host-/i.test(name)) {
    if (domain !== undefined) throw new TypeError("cookie.domain: a cookie with the prefix __Host- has none");
    if (path !== "/") throw new TypeError('cookie.path: a cookie with the prefix __Host- has the path "/"');
  }
  const cookie = { name, path, domain, httpOnly: bool("cookie.httpOnly", options.httpOnly), sameSite, partitioned };
  try {
    if (setCookie(cookie, true, createToken()).split(";", 1).join("").length > 4096) throw new TypeError("too long");
  } catch (cause) {
    throw new TypeError("cookie.name: no browser would take this cookie", { cause });
  }
  return { cookie, secure, persist: bool("cookie.persist", options.persist) };
}

/** Some options make no sense without Secure: with "auto" they turn it on, with false they contradict. */
function resolveSecure(name: string, secure: unknown, sameSiteNone: boolean, partitioned: boolean): boolean | "auto" {
  if (secure !== "auto" && typeof secure !== "boolean")
    throw new TypeError('cookie.secure: must be a boolean or "auto"');
  // Browsers compare prefixes case-insensitively: RFC 6265bis, section 5.7.
  const reasons = [
    /^__(?:host|secure)-/i.test(name) && "a cookie with the prefix __Host- or __Secure-",
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
