import { systemNow } from "../core/time.ts";
import { cookieText, removedCookie, replacesCookie, type SessionCookie, tokenCookie } from "../http/cookie.ts";
import {
  addVary,
  forbidsStoring,
  isTargetedCacheHeader,
  lowerAscii,
  type OpenHeaders,
  withNoStore,
} from "../http/headers.ts";
import type { CookieUpdate } from "../session/transition.ts";
import type { ResolvedOptions } from "./options.ts";

/** The circumstances of a commit. */
export interface CommitContext {
  /** Whether the response uses TLS, for `secure: "auto"`. A function is called only when needed. Default true. */
  tls?: boolean | (() => boolean) | undefined;
  /** Whether later changes of the session throw, because the response's head leaves. Default false. */
  seal?: boolean | undefined;
  /**
   * Whether to set a persistent cookie again although this commit does not move its expiry, as a page that can't set
   * cookies may have moved it. Only for sessions with an idle timeout. Default false.
   */
  refresh?: boolean | undefined;
}

/**
 * The headers that a response needs after a commit.
 *
 * @example
 * const { headers } = await manager.commit(session);
 * return new Response("Hello", { headers });
 */
export class CommitResult {
  /** "set": the client gets a new token or a new expiry of its cookie. "clear": the cookie is removed. "nothing": neither. */
  readonly kind: "set" | "clear" | "nothing";
  /** The value of the Set-Cookie header. It holds the token: never log it. */
  readonly setCookie: string | undefined;
  /**
   * The same cookie as name, value and options, for a framework's cookie jar: `jar.set(cookie.name, cookie.value, cookie.options)`. Never
   * log it.
   */
  readonly cookie: SessionCookie | undefined;
  /**
   * Cookies to put into a jar before `cookie`. They remove the session's cookie from the scopes of `cookie.previous`,
   * and the cookie of a continued session.
   */
  readonly clearingCookies: readonly SessionCookie[] = [];
  /**
   * Set-Cookie values to send before `setCookie`. They remove the session's cookie from the scopes of
   * `cookie.previous`, and the cookie of a continued session.
   */
  readonly clearing: readonly string[] = [];
  /** The token's header for the transport "header", with the value `""` when the session has ended. Never log it. */
  readonly tokenHeader: { readonly name: string; readonly value: string } | undefined;
  /** The request header that the response depends on, for Vary. Undefined when the session was not read. */
  readonly vary: "Cookie" | "Authorization" | undefined;

  readonly #options: ResolvedOptions;

  /** Makes the headers for a change of the client's cookie. */
  constructor(update: CookieUpdate, varies: boolean, options: ResolvedOptions, context: CommitContext) {
    const { tokenHeader: header } = options;
    this.#options = options;
    this.kind = update.kind;
    if (varies || update.kind !== "nothing") this.vary = options.vary;
    if (update.kind === "nothing") return;
    if (header !== undefined) {
      this.tokenHeader = { name: header, value: update.kind === "set" ? update.token : "" };
      return;
    }
    const secure = options.secure === "auto" ? isTls(context) : options.secure;
    this.cookie =
      update.kind === "set"
        ? tokenCookie(options.cookie, secure, update.token, update.life)
        : removedCookie(options.cookie, secure);
    this.setCookie = cookieText(this.cookie);
    this.clearingCookies = [
      ...options.previous.map((scope) => removedCookie({ ...options.cookie, ...scope }, secure)),
      // The prefixes __Host- and __Secure- require Secure.
      ...update.clearing.map((cookie) => removedCookie(cookie, secure || cookie.name.startsWith("__"))),
    ];
    this.clearing = this.clearingCookies.map(cookieText);
  }

  /**
   * Tells whether this result replaces a Set-Cookie header of the application: one of the same name, unless it removes the cookie from
   * another scope.
   */
  replaces(setCookie: string): boolean {
    return replacesCookie(this.#options.cookie, setCookie);
  }

  /** Whether the response needs no header. */
  get isSilent(): boolean {
    return this.kind === "nothing" && this.vary === undefined;
  }

  /** Applies the cookie, the token header, Vary and the caching rules to a response. At most one Set-Cookie of the session's name is live. */
  applyTo(headers: OpenHeaders): void {
    const { kind, setCookie: own, tokenHeader, vary } = this;
    if (vary !== undefined) addVary(headers, vary);
    if (kind === "nothing") return;
    forbidStoring(headers);
    if (tokenHeader !== undefined) headers.set(tokenHeader.name, tokenHeader.value);
    if (own === undefined) return;
    const added = new Set([...this.clearing, own]);
    const others = headers.getSetCookie().filter((header) => !this.replaces(header) && !added.has(header));
    // The session's cookie comes last, so that a cookie jar that confuses two scopes keeps it.
    headers.delete("Set-Cookie");
    for (const cookie of [...others, ...added]) headers.append("Set-Cookie", cookie);
  }

  /**
   * The headers to add: Set-Cookie or the token's header, `Cache-Control: private, no-store`, and Vary, as far as they are needed. Merge them
   * with headers of the same names that the response already has. The object is the caller's.
   */
  get headers(): Headers {
    const headers = new Headers();
    this.applyTo(headers);
    return headers;
  }
}

function isTls(context: CommitContext): boolean {
  return typeof context.tls === "function" ? context.tls() : (context.tls ?? true);
}

/** Forbids every cache to store a response with a token. Pragma stays, because it never permits storing. */
function forbidStoring(headers: OpenHeaders): void {
  headers.set("Cache-Control", withNoStore(headers.get("Cache-Control")));
  for (const name of Array.from(headers.keys())) {
    if (mayAllowStoring(name, () => headers.get(name) ?? "")) headers.delete(name);
  }
}

function mayAllowStoring(name: string, value: () => string): boolean {
  if (isTargetedCacheHeader(name)) return !forbidsStoring(value());
  // Old caches that ignore Cache-Control obey Expires. A past or invalid date forbids storing.
  return lowerAscii(name) === "expires" && Date.parse(value()) > systemNow();
}
