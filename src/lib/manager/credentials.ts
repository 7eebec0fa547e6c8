import { bearerToken } from "../http/headers.ts";
import { cookieValues } from "../http/cookie.ts";
import { isToken } from "../core/token.ts";
import type { ResolvedOptions } from "./options.ts";

/** The headers of a request that may carry a token; which of them counts is the manager's `transport`. */
export interface Credentials {
  /** Of the header Cookie; several of them joined by `;`. */
  cookie?: string | null | undefined;
  /** Of the header Authorization. */
  authorization?: string | null | undefined;
}

/** What could be tokens among a request's credentials: of the manager's transport only. */
export function tokensOf(
  { cookie, authorization }: Credentials,
  { tokenHeader, cookie: { name } }: ResolvedOptions,
): string[] {
  if (tokenHeader === undefined) return cookieValues(cookie ?? undefined, name, isToken);
  const token = bearerToken(authorization ?? undefined);
  return token !== undefined && isToken(token) ? [token] : [];
}
