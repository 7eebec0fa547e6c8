import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { PgStoreError } from "./errors.ts";

/**
 * An event about one session, on a channel of `node:diagnostics_channel`.
 * - `pgstore:gone`: a commit was dropped, because the session had been destroyed, renewed or revoked, or had expired
 * - `pgstore:stale`: a request presented a session that ended shortly before. Its changes are dropped, unless the session was revoked
 * - `pgstore:duplicate`: a request came with several tokens. Unless exactly one is live, the request is anonymous
 * - `pgstore:conflict`: another request changed the session first. The commit is repeated on the newer row
 * - `pgstore:error`: a row is unreadable, or a list skipped a row with an invalid value. A request with the token of an
 *   unreadable row is anonymous
 */
export interface SessionEvent {
  /** The token's SHA-256, even where the table holds the token itself. With several tokens, the first one's. */
  id: string;
  /** On `pgstore:conflict`: the number of attempts that have failed. */
  attempt?: number;
  /** On `pgstore:duplicate`: the number of live sessions. Absent when there were too many tokens to look up. */
  live?: number;
  /** On `pgstore:error`: the SessionDecodeError, or the SessionInvalidError of a listed row. */
  error?: unknown;
}

/** The event on `pgstore:invalid`, after a load has dropped a stored value that its schema refuses. */
export interface InvalidEvent {
  /** The SHA-256 of the session's token. */
  id: string;
  /** The session's key. */
  key: string;
}

/** The event on `pgstore:load`, after the session of one or several well-formed tokens was looked up. */
export interface LoadEvent {
  /** The token's SHA-256. With several tokens, the first one's. */
  id: string;
  /** Milliseconds that the request waited. */
  duration: number;
  /**
   * - `live`: the session was found
   * - `unknown`: there is no such session, or it has expired
   * - `ended`: the session ended shortly before
   * - `unreadable`: the codec can't decode the row
   * - `duplicate`: none of several tokens counts
   * - `failed`: the store failed
   */
  outcome: "live" | "unknown" | "ended" | "unreadable" | "duplicate" | "failed";
  /** For `failed`: the error's `code`, or the name of an error that is not a PgStoreError. */
  code?: string;
}

/** The event on `pgstore:commit`, after a commit that had something to write. */
export interface CommitEvent {
  /** The SHA-256 of the session's current token. Undefined when a new session was not stored. */
  id: string | undefined;
  /** Milliseconds that the request waited, including the wait for earlier commits of the session. */
  duration: number;
  /** The write of the last attempt. Undefined when the commit failed before that. */
  plan: "touch" | "create" | "replace" | "renew" | "destroy" | "drop" | undefined;
  /** `gone`: the changes were dropped, because the session had ended. */
  outcome: "stored" | "gone" | "failed";
  /** The number of attempts. */
  attempts: number;
  /** For `failed`: the error's `code`, or the name of an error that is not a PgStoreError. */
  code?: string;
}

/** The event on `pgstore:batch`, after a store's operations that shared a statement. */
export interface BatchEvent {
  /** The store's method: `find`, `replace`, `touch` and so on. */
  operation: string;
  /** The number of operations, which is the number of rows of the statement. */
  size: number;
  /** Milliseconds that the oldest operation waited before the statement was sent. */
  wait: number;
  /** Milliseconds from the first sending to the answer, including retries. */
  duration: number;
  /** The number of operations that failed. */
  failed: number;
  /** The first failure: the error's `code`, or the name of an error that is not a PgStoreError. */
  code?: string;
}

/** The event on `pgstore:store-error`, after an operation of a store failed, in a batch or before it was sent. */
export interface StoreErrorEvent {
  /** The store's method: `find`, `replace`, `touch` and so on. */
  operation: string;
  /** The error's `code`, or the name of an error that is not a PgStoreError. */
  code: string;
}

/** The event on `pgstore:cleanup`, after expired rows were removed. */
export interface CleanupEvent {
  /** The number of rows removed, even if the cleanup failed later. */
  removed: number;
  /** Milliseconds. */
  duration: number;
  /** After a failure or an abort: the error's `code`, or the name of an error that is not a PgStoreError. */
  code?: string;
  /** Set when several periodic cleanups in a row have left the same expired row, for example because it is locked. */
  heldUp?: true;
}

/** The events, by the channel's name without `pgstore:`. */
export interface Events {
  gone: SessionEvent;
  stale: SessionEvent;
  duplicate: SessionEvent;
  conflict: SessionEvent;
  error: SessionEvent;
  invalid: InvalidEvent;
  load: LoadEvent;
  commit: CommitEvent;
  batch: BatchEvent;
  "store-error": StoreErrorEvent;
  cleanup: CleanupEvent;
}

/** The channels. Check `hasSubscribers` before making an event. */
export const CHANNELS = {
  gone: channel("pgstore:gone"),
  stale: channel("pgstore:stale"),
  duplicate: channel("pgstore:duplicate"),
  conflict: channel("pgstore:conflict"),
  error: channel("pgstore:error"),
  invalid: channel("pgstore:invalid"),
  load: channel("pgstore:load"),
  commit: channel("pgstore:commit"),
  batch: channel("pgstore:batch"),
  "store-error": channel("pgstore:store-error"),
  cleanup: channel("pgstore:cleanup"),
} satisfies Record<keyof Events, unknown>;

/** The names of all channels, without `pgstore:`. */
export const EVENT_NAMES = Object.keys(CHANNELS) as (keyof Events)[];

/** Publishes an event, if its channel has subscribers. */
export function publish<Name extends keyof Events>(name: Name, event: Events[Name]): void {
  if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish(event);
}

/** Listeners by channel. */
export type Listeners = { [Name in keyof Events]?: (event: Events[Name]) => void };

/** Subscribes listeners to their channels. Returns a function that unsubscribes them, which may be called twice. */
export function listen(listeners: Listeners): () => void {
  const entries = Object.entries(listeners).map(
    ([name, listener]) => [`pgstore:${name}`, (event: unknown) => listener(event as never)] as const,
  );
  for (const [name, listener] of entries) subscribe(name, listener);
  return () => {
    for (const [name, listener] of entries) unsubscribe(name, listener);
  };
}

/** Returns the code or the name of an error for an event. Never its message, which may quote a value. */
export function codeOf(error: unknown): string {
  if (error instanceof PgStoreError) return error.code;
  return error instanceof Error ? error.name : typeof error;
}
