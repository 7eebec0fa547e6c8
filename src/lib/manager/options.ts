import { lowerAscii } from "../http/headers.ts";
import { type Duration, OptionReader, wrong } from "../core/options.ts";
import { scsJson } from "../codec/scs-json.ts";
import type { Codec } from "../core/codec.ts";
import { type CookieOptions, HTTP_TOKEN, type ResolvedCookie, resolveCookie } from "./cookie-options.ts";
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

/** Headers that a token must not take the place of. */
const TAKEN_HEADERS = ["set-cookie", "vary", "cache-control", "content-type", "content-length", "location"];

/**
 * Checks options and fills in the defaults. The caller's object is not changed.
 *
 * @throws TypeError that names the option
 */
export function resolveOptions(options: SessionOptions<boolean> = {}): ResolvedOptions {
  const read = new OptionReader(options);
  const idleTimeout = read.duration("idleTimeout", 0);
  const touchAfter = read.duration("touchAfter", idleTimeout / 20);
  if (touchAfter > 0 && touchAfter >= idleTimeout) throw read.wrong("touchAfter", "less than idleTimeout");
  const codec = read.value("codec", scsJson);
  if (!isCodec(codec)) throw read.wrong("codec", "an object with the functions encode and decode");
  const maxBytes = read.value("maxBytes", 1024 * 1024);
  if (typeof maxBytes !== "number" || !(maxBytes >= 1)) throw read.wrong("maxBytes", "a number from 1");
  const maxSessionsPerUser = read.whole("maxSessionsPerUser", 100, true);
  const resolved = {
    lifetime: read.duration("lifetime", "24h", { isPositive: true }),
    idleTimeout,
    touchAfter,
    tokenHeader: resolveTransport(read),
    lazy: read.bool("lazy", false),
    trustProxy: read.bool("trustProxy", false),
    hashTokens: read.bool("hashTokens", true),
    scope: resolveScope(read),
    codec,
    maxBytes,
    maxSessionsPerUser: maxSessionsPerUser === Number.POSITIVE_INFINITY ? 0 : maxSessionsPerUser,
    isLimitDefault: options.maxSessionsPerUser === undefined,
    recordIp: read.bool("recordIp", false),
    recordUserAgent: read.bool("recordUserAgent", false),
    onError: read.callback<NonNullable<ResolvedOptions["onError"]>>("onError"),
    onLogin: read.callback<NonNullable<ResolvedOptions["onLogin"]>>("onLogin"),
    onEnd: read.callback<NonNullable<ResolvedOptions["onEnd"]>>("onEnd"),
    ...resolveCookie(read.value("cookie", {})),
  };
  read.end();
  return resolved;
}

function resolveTransport(read: OptionReader): string | undefined {
  const transport = read.value("transport", "cookie");
  if (transport === "cookie") return undefined;
  const { header } = transport === "header" ? { header: "session-token" } : ((transport ?? {}) as { header?: unknown });
  if (typeof header !== "string" || !HTTP_TOKEN.test(header)) {
    throw read.wrong("transport", '"cookie", "header" or { header: the name of a response header }');
  }
  const name = lowerAscii(header);
  if (TAKEN_HEADERS.includes(name)) {
    throw wrong("transport.header", "a header without a meaning of its own", header);
  }
  return name;
}

function resolveScope(read: OptionReader): string | undefined {
  const scope = read.value("scope");
  if (scope === undefined) return undefined;
  if (typeof scope === "string" && /^[\w-]{1,64}$/.test(scope)) return scope;
  throw read.wrong("scope", "1 to 64 letters, digits, _ and - of ASCII");
}

function isCodec(value: unknown): value is Codec {
  const codec = value as Partial<Codec> | null;
  return typeof codec === "object" && typeof codec?.encode === "function" && typeof codec.decode === "function";
}
