import type { LoginDetails } from "../core/login-details.ts";

/** Calls a listener when the request's client disconnects. Returns a function that removes the listener. */
export type WhenGone = (listener: () => void) => () => void;

/** The origin of a request. The manager's `recordIp` and `recordUserAgent` decide which parts a login stores. */
export interface RequestClient extends Partial<LoginDetails> {
  /** The request is a HEAD, or a browser's prefetch whose response may never be shown. */
  speculative?: boolean | undefined;
  /** Calls a listener when the client disconnects before it has its response. Returns a function that removes the listener. */
  whenGone?: WhenGone | undefined;
}

/** The origin of a request, or a function that finds it, called only when a login or a wait needs it. */
export type ClientSource = RequestClient | (() => RequestClient);

/** Longer texts are cut, as they tell no more about a browser. */
const MAX_USER_AGENT_CHARACTERS = 512;
const MAX_IP_CHARACTERS = 64;

/** Returns the parts that a login stores. */
export function recordedClient(
  client: ClientSource,
  { recordIp, recordUserAgent }: { recordIp: boolean; recordUserAgent: boolean },
): LoginDetails {
  const { ip, userAgent } = cleanClient(typeof client === "function" ? client() : client);
  return { ip: recordIp ? ip : undefined, userAgent: recordUserAgent ? userAgent : undefined };
}

/** Returns the address and the browser in a form that is safe to store and to show. */
export function cleanClient({ ip, userAgent }: RequestClient): LoginDetails {
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
