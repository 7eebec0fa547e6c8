import { type CookieAttributes, setCookie } from "../base/cookie-text.ts";
import { type Duration, parseDuration } from "../base/duration.ts";
import { createToken } from "../base/token.ts";
import { scsJson } from "../base/scs-json.ts";
import type { Codec } from "../port/codec.ts";
import type { PlanOptions } from "./plan.ts";

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

/** Options of `SessionManager`. Durations are milliseconds or a text such as `"20m"`. */
export interface SessionOptions<Lazy extends boolean = false> {
  /** Absolute length of a session from its creation; renewing the token begins it anew. Default `"24h"`. */
  lifetime?: Duration;
  /** Allowed inactivity: a session expires this long after its last request, the deadline at the latest. Default: none. */
  idleTimeout?: Duration;
  /**
   * A request that changes nothing moves the expiry only when it has fallen behind by this much; so a session may end
   * earlier than promised, by at most this. Default: a twentieth of `idleTimeout`; 0: every request.
   */
  touchAfter?: Duration;
  cookie?: CookieOptions;
  /**
   * How the token travels: in a cookie, or, for API and mobile clients, as `Authorization: Bearer` in requests and in a
   * header of responses, `Session-Token` unless named otherwise. Never both. Default `"cookie"`.
   */
  transport?: "cookie" | "header" | { header: string };
  /**
   * Sessions are loaded when they are first awaited (`await manager.sessionOf(request)`), not before the handler runs.
   * A request that doesn't ask makes no query, and is no activity for `idleTimeout`. Default false.
   */
  lazy?: Lazy;
  /**
   * Whether `X-Forwarded-Proto` may be believed, for `secure: "auto"`: true only behind a proxy that sets it. Express's,
   * Fastify's and Koa's own settings count as well. Default false.
   */
  trustProxy?: boolean;
  /** The table holds the token's SHA-256, so that who reads the table can't use it. Default true. */
  hashTokens?: boolean;
  /** Default `scsJson`. */
  codec?: Codec;
  /**
   * How many bytes the codec may make of a session; a commit that would store more throws SessionTooLargeError. Default
   * 16 MiB; Infinity: no limit.
   */
  maxBytes?: number;
  /**
   * Answers a request whose session could not be loaded or committed, or whose handler threw. `request` and `response` are
   * the framework's own. What it leaves unanswered gets a plain 500. Default: logs the error.
   */
  onError?: (error: unknown, request: never, response: never) => unknown;
}

/** The options, checked and with their defaults. */
export interface ResolvedOptions extends PlanOptions {
  cookie: CookieAttributes;
  secure: boolean | "auto";
  persist: boolean;
  /** The response header that carries the token, in lower case; undefined: the cookie does. */
  tokenHeader: string | undefined;
  lazy: boolean;
  trustProxy: boolean;
  hashTokens: boolean;
  codec: Codec;
  maxBytes: number;
  onError: ((error: unknown, request: unknown, response: unknown) => unknown) | undefined;
}

const DEFAULTS = {
  lifetime: "24h",
  lazy: false,
  trustProxy: false,
  hashTokens: true,
  codec: scsJson,
  maxBytes: 16 * 1024 * 1024,
  cookie: {
    name: "session",
    path: "/",
    secure: "auto",
    httpOnly: true,
    sameSite: "lax",
    partitioned: false,
    persist: false,
  },
} as const;

// prettier-ignore
const OPTION_NAMES = [
  "lifetime", "idleTimeout", "touchAfter", "cookie", "transport", "lazy", "trustProxy", "hashTokens", "codec", "maxBytes",
  "onError",
];
/** @see RFC 9110, section 5.6.2 */
const HTTP_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Headers that a token must not take the place of. */
const TAKEN_HEADERS = ["set-cookie", "vary", "cache-control", "content-type", "content-length", "location"];
const COOKIE_NAMES = [...Object.keys(DEFAULTS.cookie), "domain", "prefix"];

/**
 * Checks options and fills in the defaults. The caller's object is not changed.
 *
 * @throws TypeError that names the option
 */
export function resolveOptions(options: SessionOptions<boolean> = {}): ResolvedOptions {
  known("", options, OPTION_NAMES);
  const lifetime = parseDuration("lifetime", options.lifetime ?? DEFAULTS.lifetime);
  if (lifetime === 0) throw new TypeError("lifetime: must be more than 0");
  const idleTimeout = parseDuration("idleTimeout", options.idleTimeout ?? 0);
  const touchAfter = parseDuration("touchAfter", options.touchAfter ?? idleTimeout / 20);
  if (touchAfter > 0 && touchAfter >= idleTimeout) throw new TypeError("touchAfter: must be shorter than idleTimeout");
  const codec: unknown = options.codec ?? DEFAULTS.codec;
  if (!isCodec(codec)) throw new TypeError("codec: must have the functions encode and decode");
  const maxBytes: unknown = options.maxBytes ?? DEFAULTS.maxBytes;
  if (typeof maxBytes !== "number" || !(maxBytes >= 1)) throw new TypeError("maxBytes: must be a number from 1");
  const { onError } = options;
  if (onError !== undefined && typeof onError !== "function") throw new TypeError("onError: must be a function");
  return {
    lifetime,
    idleTimeout,
    touchAfter,
    tokenHeader: resolveTransport(options.transport),
    lazy: bool("lazy", options.lazy ?? DEFAULTS.lazy),
    trustProxy: bool("trustProxy", options.trustProxy ?? DEFAULTS.trustProxy),
    hashTokens: bool("hashTokens", options.hashTokens ?? DEFAULTS.hashTokens),
    codec,
    maxBytes,
    onError: onError as ResolvedOptions["onError"],
    ...resolveCookie(options.cookie === undefined ? {} : options.cookie),
  };
}

function resolveTransport(transport: unknown = "cookie"): string | undefined {
  if (transport === "cookie") return undefined;
  const { header } = transport === "header" ? { header: "session-token" } : ((transport ?? {}) as { header?: unknown });
  if (typeof header !== "string" || !HTTP_TOKEN.test(header)) {
    throw new TypeError('transport: must be "cookie", "header" or { header: the name of a response header }');
  }
  const name = header.toLowerCase();
  if (TAKEN_HEADERS.includes(name)) throw new TypeError(`transport.header: ${header} has a meaning of its own`);
  return name;
}

function resolveCookie(given: CookieOptions): Pick<ResolvedOptions, "cookie" | "secure" | "persist"> {
  known("cookie.", given, COOKIE_NAMES);
  const options = { ...DEFAULTS.cookie, ...dropUndefined(given) };
  const { prefix = "", path, domain, sameSite } = options;
  if (prefix !== "" && prefix !== "__Host-" && prefix !== "__Secure-") {
    throw new TypeError('cookie.prefix: must be "__Host-" or "__Secure-"');
  }
  if (typeof options.name !== "string" || !HTTP_TOKEN.test(options.name)) {
    throw new TypeError(`cookie.name: ${JSON.stringify(options.name)} is not a cookie name`);
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

function known(scope: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${scope === "" ? "options" : "cookie"}: must be an object`);
  }
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new TypeError(`${scope}${name}: there is no such option`);
  }
}

function bool(option: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new TypeError(`${option}: must be a boolean`);
  return value;
}

function isCodec(value: unknown): value is Codec {
  const codec = value as Partial<Codec> | null;
  return typeof codec === "object" && typeof codec?.encode === "function" && typeof codec.decode === "function";
}

function dropUndefined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
