import { lowerAscii } from "../http/headers.ts";
import { type Duration, OptionReader, wrong } from "../core/options.ts";
import { scsJson } from "../codec/scs-json.ts";
import type { Codec } from "../core/codec.ts";
import { type CookieOptions, HTTP_TOKEN, resolveCookie } from "./cookie-options.ts";
import type { EndEvent, LoginEvent } from "./hooks.ts";
import { DataSchema, type OnInvalid, type SessionSchema } from "../session/schema.ts";

/** A request as `onError` gets it: Node's, or a web-standard Request. */
export interface FailedRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: object;
}

/** A response as `onError` gets it from the adapters for Node. With web-standard requests it is undefined: return a Response instead. */
export interface FailedResponse {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: number | string | readonly string[]): unknown;
  end(body?: string): unknown;
}

/** The type of `onError`. As a method it is bivariant, so that it may take a framework's own request and response. */
interface ErrorListener {
  answer(error: unknown, request: FailedRequest, response: FailedResponse): unknown;
}

/** Options of `SessionManager`. Durations are milliseconds or a text such as `"20m"`. */
export interface SessionOptions<Lazy extends boolean = false> {
  /** Absolute lifetime, regardless of activity. It begins with the session, and anew with a login or `reauthenticate`. Default `"24h"`. */
  lifetime?: Duration | undefined;
  /** Allowed inactivity: a session expires this long after its last request, but no later than its deadline. Default: none. */
  idleTimeout?: Duration | undefined;
  /**
   * The least distance by which a request without changes moves the expiry. A session may expire up to this much
   * earlier than `idleTimeout` says. Default: a twentieth of `idleTimeout`. 0 moves it on every request.
   */
  touchAfter?: Duration | undefined;
  /** The session's cookie. */
  cookie?: CookieOptions | undefined;
  /**
   * The transport of the token: a cookie, or, for API and mobile clients, `Authorization: Bearer` in requests and a header of responses,
   * `Session-Token` unless named otherwise. Never both. Default `"cookie"`.
   */
  transport?: "cookie" | "header" | { header: string } | undefined;
  /**
   * Whether a session is loaded when it is first awaited (`await manager.sessionOf(request)`) instead of before the handler runs. A request
   * that does not await it makes no query and does not count as activity for `idleTimeout`. Default false.
   */
  lazy?: Lazy | undefined;
  /**
   * Whether to trust `X-Forwarded-Proto` for `secure: "auto"`. Set it only behind a proxy that sets the header. The settings of Express,
   * Fastify and Koa count as well. Default false.
   */
  trustProxy?: boolean | undefined;
  /** Whether the table holds the token's SHA-256 instead of the token, so that a leaked table can't be used to log in. Default true. */
  hashTokens?: boolean | undefined;
  /**
   * Separates this manager's sessions and users from those of other managers in the same table. Tokens of other scopes are unknown here, and
   * the same user id in another scope is another user. Managers with the same scope share their sessions. Default: none.
   */
  scope?: string | undefined;
  /**
   * A schema for each key, of Zod, Valibot, ArkType or any other library with Standard Schema. It types the data, checks each value in `set`,
   * in `update`, at the commit after a change in place, and at the load, and gives absent keys their defaults. The schema's output is stored,
   * so the schema must accept its own output. Values of other keys are not checked. Its exact type is `SessionSchema`. Default: none.
   */
  schema?: object | undefined;
  /**
   * Treatment of a stored value that its schema refuses: `"drop"` (the default) leaves the key out, `"fail"` fails the load with a
   * SessionInvalidError, and a function returns another value, or undefined to leave the key out.
   */
  onInvalid?: OnInvalid | undefined;
  /** Turns sessions into bytes and back. Default `scsJson`. */
  codec?: Codec | undefined;
  /**
   * The maximum size of an encoded session in bytes. A commit that would store more throws SessionTooLargeError, and a larger row counts as
   * unreadable. Default 1 MiB. Infinity: no limit.
   */
  maxBytes?: number | undefined;
  /** The maximum number of sessions of a user. A login beyond it ends the oldest. Default 100. Infinity: no limit. */
  maxSessionsPerUser?: number | undefined;
  /** Whether a login stores the client's IP address, which is personal data, for `listByUser`. Default false. */
  recordIp?: boolean | undefined;
  /** Whether a login stores the client's User-Agent, which is personal data, for `listByUser`. Default false. */
  recordUserAgent?: boolean | undefined;
  /**
   * Answers a request whose session could not be loaded or committed, or whose handler threw. `request` and `response`
   * are the framework's own. A request left unanswered gets a plain 500. Default: logs the error.
   */
  onError?: ErrorListener["answer"] | undefined;
  /** Called after each login that was stored, for example to notify the user of a new device. Its errors are logged. */
  onLogin?: ((login: LoginEvent) => unknown) | undefined;
  /** Called after this process has ended a session. Not called for sessions that expire. Its errors are logged. */
  onEnd?: ((end: EndEvent) => unknown) | undefined;
}

/** Options of `SessionManager` with a schema that types the data. */
export type ManagerOptions<Data, Lazy extends boolean> = SessionOptions<Lazy> & {
  schema?: SessionSchema<Data> | undefined;
};

/** The options, checked and with their defaults. */
export type ResolvedOptions = ReturnType<typeof resolveOptions>;

/** Response headers that must not carry the token. */
const TAKEN_HEADERS = ["set-cookie", "vary", "cache-control", "content-type", "content-length", "location"];

/**
 * Checks options and fills in the defaults, in a new object.
 *
 * @throws TypeError, naming the option, when one is wrong
 */
export function resolveOptions(options: SessionOptions<boolean> = {}) {
  const read = new OptionReader(options);
  const idleTimeout = read.duration("idleTimeout", 0);
  const touchAfter = read.duration("touchAfter", idleTimeout / 20);
  if (touchAfter > 0 && touchAfter >= idleTimeout) throw read.wrong("touchAfter", "less than idleTimeout");
  const codec = read.value("codec", scsJson);
  if (!isCodec(codec)) throw read.wrong("codec", "an object with the functions encode and decode");
  const maxBytes = read.value("maxBytes", 1024 * 1024);
  if (typeof maxBytes !== "number" || !(maxBytes >= 1)) throw read.wrong("maxBytes", "a number from 1");
  const maxSessionsPerUser = read.whole("maxSessionsPerUser", 100, true);
  const tokenHeader = resolveTransport(read);
  const vary: "Cookie" | "Authorization" = tokenHeader === undefined ? "Cookie" : "Authorization";
  const resolved = {
    lifetime: read.duration("lifetime", "24h", { isPositive: true }),
    /** 0: none. */
    idleTimeout,
    touchAfter,
    /** The response header that carries the token, in lower case. Undefined for the transport "cookie". */
    tokenHeader,
    /** The request header that carries the token. */
    vary,
    lazy: read.bool("lazy", false),
    trustProxy: read.bool("trustProxy", false),
    hashTokens: read.bool("hashTokens", true),
    scope: read.text("scope", undefined, "1 to 64 ASCII letters, digits, underscores and hyphens", /^[\w-]{1,64}$/),
    codec,
    schema: DataSchema.read(read),
    maxBytes,
    /** 0: no limit. */
    maxSessionsPerUser: maxSessionsPerUser === Number.POSITIVE_INFINITY ? 0 : maxSessionsPerUser,
    /** Whether the limit is the default, which is not enforced on a table without the columns for users. */
    isLimitDefault: options.maxSessionsPerUser === undefined,
    recordIp: read.bool("recordIp", false),
    recordUserAgent: read.bool("recordUserAgent", false),
    onError: read.callback<(error: unknown, request: unknown, response: unknown) => unknown>("onError"),
    onLogin: read.callback<(login: LoginEvent) => unknown>("onLogin"),
    onEnd: read.callback<(end: EndEvent) => unknown>("onEnd"),
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
    throw read.wrong("transport", '"cookie", "header" or { header: "<name of a response header>" }');
  }
  const name = lowerAscii(header);
  if (TAKEN_HEADERS.includes(name)) {
    throw wrong("transport.header", 'a header of your own such as "Session-Token"', header);
  }
  return name;
}

function isCodec(value: unknown): value is Codec {
  const codec = value as Partial<Codec> | null;
  return typeof codec === "object" && typeof codec?.encode === "function" && typeof codec.decode === "function";
}
