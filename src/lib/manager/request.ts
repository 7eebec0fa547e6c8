import { isToken } from "../core/token.ts";
import { cookieValues } from "../http/cookie.ts";
import { bearerToken } from "../http/headers.ts";
import type { WhenGone } from "../session/request-facts.ts";
import type { LoginEvent } from "./hooks.ts";
import type { ResolvedOptions } from "./options.ts";

/** Where a request came from. What of it is kept is the manager's `recordIp` and `recordUserAgent`. */
export interface RequestClient {
  ip?: string | undefined;
  userAgent?: string | undefined;
  /** The request is a HEAD, or a browser makes it in advance: nobody may ever see the answer. */
  speculative?: boolean | undefined;
  /** Calls a listener when the client goes before it has its answer. Returns what stops that. */
  whenGone?: WhenGone | undefined;
}

/** Facts about a request, or a function that finds them. They are asked for only when a login or a wait needs them. */
export type ClientSource = RequestClient | (() => RequestClient);

/** Characters: what is longer tells no more of a browser. */
const MAX_USER_AGENT_CHARACTERS = 512;
const MAX_IP_CHARACTERS = 64;

/** What is kept of where a request came from; undefined: nothing. */
export function recordedClient(
  client: ClientSource,
  { recordIp, recordUserAgent }: ResolvedOptions,
): RequestClient | undefined {
  if (!recordIp && !recordUserAgent) return undefined;
  const { ip, userAgent } = cleanClient(typeof client === "function" ? client() : client);
  return { ip: recordIp ? ip : undefined, userAgent: recordUserAgent ? userAgent : undefined };
}

/** Where a request came from, fit to be stored and shown. */
export function cleanClient({ ip, userAgent }: RequestClient): Pick<LoginEvent, "ip" | "userAgent"> {
  return {
    ip: clean(ip?.replace(/^::ffff:(?=\d+\.)/i, ""), MAX_IP_CHARACTERS),
    userAgent: clean(userAgent, MAX_USER_AGENT_CHARACTERS),
  };
}

/** As PostgreSQL can store it, and no terminal or page is led astray by it. */
function clean(text: string | undefined, longest: number): string | undefined {
  return text
    ?.slice(0, longest)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, " ");
}

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
