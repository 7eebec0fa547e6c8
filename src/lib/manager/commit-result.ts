import { withNoStore } from "../base/cache-headers.ts";
import { clearCookie, setCookie } from "../base/cookie-text.ts";
import type { Delivery } from "../session/record.ts";
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
  /** Of the header transport: the token's header and its value, `""` when the session has ended. Never log it. */
  readonly tokenHeader: { readonly name: string; readonly value: string } | undefined;
  /** The session was looked at: caches must tell clients apart by this request header. */
  readonly vary: "Cookie" | "Authorization" | undefined;

  constructor(delivery: Delivery, varies: boolean, options: ResolvedOptions, tls: () => boolean) {
    const { tokenHeader: header } = options;
    this.kind = delivery.kind;
    if (varies || delivery.kind !== "nothing") this.vary = header === undefined ? "Cookie" : "Authorization";
    if (delivery.kind === "nothing") return;
    if (header !== undefined) {
      this.tokenHeader = { name: header, value: delivery.kind === "set" ? delivery.token : "" };
      return;
    }
    const secure = options.secure === "auto" ? tls() : options.secure;
    this.setCookie =
      delivery.kind === "set"
        ? setCookie(options.cookie, secure, delivery.token, delivery.life)
        : clearCookie(options.cookie, secure);
  }

  /**
   * The headers for a response that has none of its own of these names: Set-Cookie (or the token's header),
   * `Cache-Control: private, no-store`, Vary, as far as they are needed. Owned by the caller.
   */
  get headers(): Headers {
    const headers = new Headers();
    if (this.setCookie !== undefined) headers.append("Set-Cookie", this.setCookie);
    if (this.tokenHeader !== undefined) headers.set(this.tokenHeader.name, this.tokenHeader.value);
    if (this.kind !== "nothing") headers.set("Cache-Control", withNoStore(undefined));
    if (this.vary !== undefined) headers.set("Vary", this.vary);
    return headers;
  }
}
