import { withNoStore } from "../http/headers.ts";
import { clearCookie, replacesCookie, setCookie } from "../http/cookie.ts";
import type { CookieUpdate } from "../session/state.ts";
import type { ResolvedOptions } from "./options.ts";

/** How a commit is made. */
export interface CommitContext {
  /** Whether the response goes over TLS, for `secure: "auto"`; a function is called only when it counts. Default true. */
  tls?: boolean | (() => boolean);
  /** Later changes of the session throw, as the response's head is on its way. Default false. */
  seal?: boolean;
}

/** What the client must be told after a commit. */
export class CommitResult {
  /** "set": the token is new or its cookie lives longer; "clear": it must go; "nothing": the response tells nothing. */
  readonly kind: "set" | "clear" | "nothing";
  /** The value of the Set-Cookie header. It holds the token: never log it. */
  readonly setCookie: string | undefined;
  /** Values of further Set-Cookie headers, which go before it: they remove the cookie from the scopes of `cookie.previous`. */
  readonly clearing: readonly string[] = [];
  /** Of the header transport: the token's header and its value, `""` when the session has ended. Never log it. */
  readonly tokenHeader: { readonly name: string; readonly value: string } | undefined;
  /** The session was looked at: caches must tell clients apart by this request header. */
  readonly vary: "Cookie" | "Authorization" | undefined;

  readonly #options: ResolvedOptions;

  constructor(update: CookieUpdate, varies: boolean, options: ResolvedOptions, context: CommitContext) {
    const { tokenHeader: header } = options;
    this.#options = options;
    this.kind = update.kind;
    if (varies || update.kind !== "nothing") this.vary = header === undefined ? "Cookie" : "Authorization";
    if (update.kind === "nothing") return;
    if (header !== undefined) {
      this.tokenHeader = { name: header, value: update.kind === "set" ? update.token : "" };
      return;
    }
    const secure = options.secure === "auto" ? isTls(context) : options.secure;
    this.setCookie =
      update.kind === "set"
        ? setCookie(options.cookie, secure, update.token, update.life)
        : clearCookie(options.cookie, secure);
    this.clearing = options.previous.map((scope) => clearCookie({ ...options.cookie, ...scope }, secure));
  }

  /**
   * Says whether a Set-Cookie header of the application must make room for this one's: it has the same name. One that removes the
   * cookie from another scope may stay.
   */
  replaces(setCookie: string): boolean {
    return replacesCookie(this.#options.cookie, setCookie);
  }

  /**
   * The headers for a response that has none of its own of these names: Set-Cookie (or the token's header),
   * `Cache-Control: private, no-store`, Vary, as far as they are needed. Owned by the caller.
   */
  get headers(): Headers {
    const headers = new Headers();
    if (this.setCookie !== undefined) {
      for (const one of [...this.clearing, this.setCookie]) headers.append("Set-Cookie", one);
    }
    if (this.tokenHeader !== undefined) headers.set(this.tokenHeader.name, this.tokenHeader.value);
    if (this.kind !== "nothing") headers.set("Cache-Control", withNoStore(undefined));
    if (this.vary !== undefined) headers.set("Vary", this.vary);
    return headers;
  }
}

function isTls(context: CommitContext): boolean {
  return typeof context.tls === "function" ? context.tls() : (context.tls ?? true);
}
