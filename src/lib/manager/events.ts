import { channel } from "node:diagnostics_channel";

/**
 * What happened to a session, for observers. `id` is the token's SHA-256, even where the table holds the token itself.
 * - `pgstore:gone`: a commit was dropped, because the session was destroyed, renewed, revoked or has expired meanwhile
 * - `pgstore:conflict`: another request changed the session first; the commit is made again on top of that
 * - `pgstore:error`: a row could not be read (`error` is a SessionDecodeError); it counts as no session, and is left alone
 */
export interface SessionEvent {
  id: string;
  /** Of a conflict: how many attempts failed so far. */
  attempt?: number;
  error?: unknown;
}

const CHANNELS = {
  gone: channel("pgstore:gone"),
  conflict: channel("pgstore:conflict"),
  error: channel("pgstore:error"),
};

/** Tells the observers, if there are any. */
export function publish(name: keyof typeof CHANNELS, event: SessionEvent): void {
  if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish(event);
}
