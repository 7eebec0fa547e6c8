import { clearCookie, setCookie } from "../base/cookie-text.ts";
import type { Delivery } from "../session/record.ts";
import type { ResolvedOptions } from "./options.ts";

/** What the client must be told after a commit. */
export class CommitResult {
  /** "set": the cookie is new or lives longer; "clear": it must go; "nothing": the response has no Set-Cookie of ours. */
  readonly kind: "set" | "clear" | "nothing";
  /** The value of the Set-Cookie header. It holds the token: never log it. */
  readonly setCookie: string | undefined;
  /** The session was looked at: caches must tell clients apart by their cookies. */
  readonly varies: boolean;

  constructor(delivery: Delivery, varies: boolean, options: ResolvedOptions, tls: boolean) {
    const secure = options.secure === "auto" ? tls : options.secure;
    this.kind = delivery.kind;
    this.varies = varies || delivery.kind !== "nothing";
    if (delivery.kind === "set") this.setCookie = setCookie(options.cookie, secure, delivery.token, delivery.life);
    else if (delivery.kind === "clear") this.setCookie = clearCookie(options.cookie, secure);
  }

  /**
   * The headers for a response that has none of its own of these names: Set-Cookie, `Cache-Control: no-store`,
   * `Vary: Cookie`, as far as they are needed. Owned by the caller.
   */
  get headers(): Headers {
    const headers = new Headers();
    if (this.setCookie !== undefined) {
      headers.append("Set-Cookie", this.setCookie);
      headers.set("Cache-Control", "no-store");
    }
    if (this.varies) headers.set("Vary", "Cookie");
    return headers;
  }
}
