import { lowerAscii } from "../http/headers.ts";
import { type Duration, parseDuration } from "../core/duration.ts";
import { scsJson } from "../codec/scs-json.ts";
import type { Codec } from "../core/codec.ts";
import { bool, HTTP_TOKEN, known } from "./check-option.ts";
import { type CookieOptions, type ResolvedCookie, resolveCookie } from "./cookie-options.ts";
import type { EndEvent, LoginEvent } from "./hooks.ts";
import type { PlanOptions } from "../session/plan.ts";

/** A request as `onError` gets it: that of Node, or a web-standard one. */
export interface FailedRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: object;
}

/** A response as `onError` gets it from the adapters for Node. With web-standard requests there is none: return a Response. */
export interface FailedResponse {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: number | string | readonly string[]): unknown;
  end(body?: string): unknown;
}

/** The type of `onError`. That of a method lets it take a framework's own types, which only its adapter knows. */
interface ErrorListener {
  answer(error: unknown, request: FailedRequest, response: FailedResponse): unknown;
}

/** Options of `SessionManager`. Durations are milliseconds or a text such as `"20m"`. */
export interface SessionOptions<Lazy extends boolean = false> {
  /** Absolute length of a session from its creation; renewing the token begins it anew. Default `"24h"`. */
  lifetime?: Duration | undefined;
  /** Allowed inactivity: a session expires this long after its last request, the deadline at the latest. Default: none. */
  idleTimeout?: Duration | undefined;
  /**
   * A request that changes nothing moves the expiry only when it has fallen behind by this much; so a session may end
   * earlier than promised, by at most this. Default: a twentieth of `idleTimeout`; 0: every request.
   */
  touchAfter?: Duration | undefined;
  cookie?: CookieOptions | undefined;
  /**
   * How the token travels: in a cookie, or, for API and mobile clients, as `Authorization: Bearer` in requests and in a
   * header of responses, `Session-Token` unless named otherwise. Never both. Default `"cookie"`.
   */
  transport?: "cookie" | "header" | { header: string } | undefined;
  /**
   * Sessions are loaded when they are first awaited (`await manager.sessionOf(request)`), not before the handler runs.
   * A request that doesn't ask makes no query, and is no activity for `idleTimeout`. Default false.
   */
  lazy?: Lazy | undefined;
  /**
   * Whether `X-Forwarded-Proto` may be believed, for `secure: "auto"`: true only behind a proxy that sets it. Express's,
   * Fastify's and Koa's own settings count as well. Default false.
   */
  trustProxy?: boolean | undefined;
  /** The table holds the token's SHA-256, so that who reads the table can't use it. Default true. */
  hashTokens?: boolean | undefined;
  /**
   * A name for this manager's sessions and users, where several managers use one table: tokens of other scopes lead nowhere, and users of
   * other scopes are other users, whatever their ids. Managers with the same scope share their sessions. Default: none.
   */
  scope?: string | undefined;
  /** Default `scsJson`. */
  codec?: Codec | undefined;
  /**
   * How many bytes the codec may make of a session: a commit that would store more throws SessionTooLargeError, and a row
   * that holds more is not read. Default 1 MiB; Infinity: no limit.
   */
  maxBytes?: number | undefined;
  /** How many sessions a user may have at once; when one more begins, the oldest ends. Default 100; Infinity: any number. */
  maxSessionsPerUser?: number | undefined;
  /** Whether a login's IP address is kept with the session, for `listByUser`. Personal data. Default false. */
  recordIp?: boolean | undefined;
  /** Whether a login's User-Agent is kept with the session, for `listByUser`. Personal data. Default false. */
  recordUserAgent?: boolean | undefined;
  /**
   * Answers a request whose session could not be loaded or committed, or whose handler threw. `request` and `response` are
   * the framework's own. What it leaves unanswered gets a plain 500. Default: logs the error.
   */
  onError?: ErrorListener["answer"] | undefined;
  /** Is told of each login that was stored: to write to the user of a new device, say. Its failure is logged. */
  onLogin?: ((login: LoginEvent) => unknown) | undefined;
  /** Is told of each session that this process has ended. One that expires ends without a word. Its failure is logged. */
  onEnd?: ((end: EndEvent) => unknown) | undefined;
}

/** The options, checked and with their defaults. */
export interface ResolvedOptions extends PlanOptions, ResolvedCookie {
  /** The response header that carries the token, in lower case; undefined: the cookie does. */
  tokenHeader: string | undefined;
  lazy: boolean;
  trustProxy: boolean;
  hashTokens: boolean;
  scope: string | undefined;
  codec: Codec;
  maxBytes: number;
  /** 0: any number. */
  maxSessionsPerUser: number;
  /** Nobody has asked for that number: where the store can't tell users, it is let go. */
  isLimitDefault: boolean;
  recordIp: boolean;
  recordUserAgent: boolean;
  onError: ((error: unknown, request: unknown, response: unknown) => unknown) | undefined;
  onLogin: ((login: LoginEvent) => unknown) | undefined;
  onEnd: ((end: EndEvent) => unknown) | undefined;
}

const DEFAULTS = {
  lifetime: "24h",
  lazy: false,
  trustProxy: false,
  hashTokens: true,
  codec: scsJson,
  maxBytes: 1024 * 1024,
  maxSessionsPerUser: 100,
} as const;

// prettier-ignore
const OPTION_NAMES = [
  "lifetime", "idleTimeout", "touchAfter", "cookie", "transport", "lazy", "trustProxy", "hashTokens", "scope", "codec", "maxBytes",
  "maxSessionsPerUser", "recordIp", "recordUserAgent", "onError", "onLogin", "onEnd",
];
/** Headers that a token must not take the place of. */
const TAKEN_HEADERS = ["set-cookie", "vary", "cache-control", "content-type", "content-length", "location"];

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
  const { maxSessionsPerUser } = options;
  const isLimit = Number.isInteger(maxSessionsPerUser) || maxSessionsPerUser === Number.POSITIVE_INFINITY;
  if (maxSessionsPerUser !== undefined && !(isLimit && maxSessionsPerUser >= 1)) {
    throw new TypeError("maxSessionsPerUser: must be a whole number from 1, or Infinity");
  }
  const { onError, onLogin, onEnd } = options;
  for (const [name, hook] of Object.entries({ onError, onLogin, onEnd })) {
    if (hook !== undefined && typeof hook !== "function") throw new TypeError(`${name}: must be a function`);
  }
  return {
    lifetime,
    idleTimeout,
    touchAfter,
    tokenHeader: resolveTransport(options.transport),
    lazy: bool("lazy", options.lazy ?? DEFAULTS.lazy),
    trustProxy: bool("trustProxy", options.trustProxy ?? DEFAULTS.trustProxy),
    hashTokens: bool("hashTokens", options.hashTokens ?? DEFAULTS.hashTokens),
    scope: resolveScope(options.scope),
    codec,
    maxBytes,
    maxSessionsPerUser:
      maxSessionsPerUser === Number.POSITIVE_INFINITY ? 0 : (maxSessionsPerUser ?? DEFAULTS.maxSessionsPerUser),
    isLimitDefault: maxSessionsPerUser === undefined,
    recordIp: bool("recordIp", options.recordIp ?? false),
    recordUserAgent: bool("recordUserAgent", options.recordUserAgent ?? false),
    onError: onError as ResolvedOptions["onError"],
    onLogin,
    onEnd,
    ...resolveCookie(options.cookie === undefined ? {} : options.cookie),
  };
}

function resolveTransport(transport: unknown = "cookie"): string | undefined {
  if (transport === "cookie") return undefined;
  const { header } = transport === "header" ? { header: "session-token" } : ((transport ?? {}) as { header?: unknown });
  if (typeof header !== "string" || !HTTP_TOKEN.test(header)) {
    throw new TypeError('transport: must be "cookie", "header" or { header: the name of a response header }');
  }
  const name = lowerAscii(header);
  if (TAKEN_HEADERS.includes(name)) throw new TypeError(`transport.header: ${header} has a meaning of its own`);
  return name;
}

function resolveScope(scope: unknown): string | undefined {
  if (scope === undefined) return undefined;
  if (typeof scope === "string" && /^[\w-]{1,64}$/.test(scope)) return scope;
  throw new TypeError("scope: expected 1 to 64 letters, digits, _ and - of ASCII");
}

function isCodec(value: unknown): value is Codec {
  const codec = value as Partial<Codec> | null;
  return typeof codec === "object" && typeof codec?.encode === "function" && typeof codec.decode === "function";
}
