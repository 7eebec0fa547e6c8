import { channel } from "node:diagnostics_channel";

/**
 * What happened to a session, for observers. `id` is the token's SHA-256, even where the table holds the token itself.
 * - `pgstore:gone`: a commit was dropped, because the session was destroyed, renewed, revoked or has expired meanwhile
 * - `pgstore:stale`: a request came with the token of a session that was ended a short while ago; what it sets is dropped
 * - `pgstore:duplicate`: a request came with several tokens; unless exactly one is `live`, it counts as anonymous
 * - `pgstore:conflict`: another request changed the session first; the commit is made again on top of that
 * - `pgstore:error`: a row holds what the codec can't have written; who presents its token is anonymous, and listing leaves it out
 */
export interface SessionEvent {
  id: string;
  /** Of a conflict: how many attempts failed so far. */
  attempt?: number;
  /** Of duplicate tokens: how many of them have a live session. `id` is that of the first. */
  live?: number;
  error?: unknown;
}

const CHANNELS = {
  gone: channel("pgstore:gone"),
  stale: channel("pgstore:stale"),
  duplicate: channel("pgstore:duplicate"),
  conflict: channel("pgstore:conflict"),
  error: channel("pgstore:error"),
};

/** Tells the observers, if there are any. */
export function publish(name: keyof typeof CHANNELS, event: SessionEvent): void {
  if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish(event);
}
