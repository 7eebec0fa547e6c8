import type { WhenGone } from "../session/request-facts.ts";
import type { LoginEvent } from "./hooks.ts";
import type { ResolvedOptions } from "./options.ts";

/** The origin of a request. The manager's `recordIp` and `recordUserAgent` decide which parts a login stores. */
export interface RequestClient {
  ip?: string | undefined;
  userAgent?: string | undefined;
  /** The request is a HEAD, or a browser's prefetch whose response may never be shown. */
  speculative?: boolean | undefined;
  /** Calls a listener when the client disconnects before it has its response. Returns a function that removes the listener. */
  whenGone?: WhenGone | undefined;
}

/** The origin of a request, or a function that finds it. It is called only when a login or a wait needs it. */
export type ClientSource = RequestClient | (() => RequestClient);

/** Longer texts are cut, as they tell no more about a browser. */
const MAX_USER_AGENT_CHARACTERS = 512;
const MAX_IP_CHARACTERS = 64;

/** Returns the parts that a login stores. */
export function recordedClient(client: ClientSource, { recordIp, recordUserAgent }: ResolvedOptions): RequestClient {
  const { ip, userAgent } = cleanClient(typeof client === "function" ? client() : client);
  return { ip: recordIp ? ip : undefined, userAgent: recordUserAgent ? userAgent : undefined };
}

/** Returns the address and the browser in a form that is safe to store and to show. */
export function cleanClient({ ip, userAgent }: RequestClient): Pick<LoginEvent, "ip" | "userAgent"> {
  return {
    ip: clean(ip?.replace(/^::ffff:(?=\d+\.)/i, ""), MAX_IP_CHARACTERS),
    userAgent: clean(userAgent, MAX_USER_AGENT_CHARACTERS),
  };
}

/** Replaces control characters, which PostgreSQL may refuse and a terminal would obey. */
function clean(text: string | undefined, longest: number): string | undefined {
  return text
    ?.slice(0, longest)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, " ");
}

/** The headers of a request that may carry a token. The manager's `transport` decides which one is read. */
export interface Credentials {
  /** The value of the header Cookie, several of them joined by `;`. */
  cookie?: string | null | undefined;
  /** The value of the header Authorization. */
  authorization?: string | null | undefined;
}

/** Continues a request after its session was opened. `opened` must not throw when it is called after a load. */
export interface AfterOpen {
  opened(): void;
  /** The session could not be loaded. */
  failed(error: unknown): void;
}
