import type { CookieAttributes } from "../http/cookie.ts";

/** The change of the client's cookie that the response's head carries. `life` is in milliseconds since 1970. */
export type CookieUpdate =
  | { kind: "nothing" }
  | { kind: "clear"; clearing: readonly CookieAttributes[] }
  | {
      kind: "set";
      token: string;
      life?: { now: number; expiry: number };
      /** Other cookies to remove. */
      clearing: readonly CookieAttributes[];
    };

/** No change. */
export const NOTHING: CookieUpdate = { kind: "nothing" };
