import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { PgStoreError } from "./errors.ts";

/**
 * What happened to a session, for observers. `id` is the token's SHA-256, even where the table holds the token itself.
 * - `pgstore:gone`: a commit was dropped, because the session was destroyed, renewed, revoked or has expired meanwhile
 * - `pgstore:stale`: a request came with the token of a session that was ended a short while ago; what it sets is dropped, unless it was revoked
 * - `pgstore:duplicate`: a request came with several tokens; unless exactly one is `live`, it counts as anonymous
 * - `pgstore:conflict`: another request changed the session first; the commit is made again on top of that
 * - `pgstore:error`: a row holds what the codec can't have written; who presents its token is anonymous, and listing leaves it out
 */
export interface SessionEvent {
  id: string;
  /** Of a conflict: how many attempts failed so far. */
  attempt?: number;
  /** Of duplicate tokens: how many of them have a live session; absent when there are too many to look up. `id` is that of the first. */
  live?: number;
  error?: unknown;
}

/** On `pgstore:load`: the session of a well-formed token, or of several, was looked for. */
export interface LoadEvent {
  /** The token's SHA-256; of several tokens that of the first. */
  id: string;
  /** Milliseconds that the request waited for it. */
  duration: number;
  /**
   * - `live`: there it is
   * - `unknown`: there is none, or it has expired
   * - `ended`: it was ended a short while ago
   * - `unreadable`: the row holds what the codec can't have written
   * - `duplicate`: of several tokens not exactly one leads somewhere
   * - `failed`: the store did
   */
  outcome: "live" | "unknown" | "ended" | "unreadable" | "duplicate" | "failed";
  /** Of `failed`: the `code` of the error, or the name of one that is not ours. */
  code?: string;
}

/** On `pgstore:commit`: a commit that had something to do has come to its end. */
export interface CommitEvent {
  /** The SHA-256 of the token that the session has now; undefined when a new one was not stored. */
  id: string | undefined;
  /** Milliseconds that the request waited for it, in its turn among those of the same session included. */
  duration: number;
  /** What the last attempt set out to do; undefined when it didn't come to that. */
  plan: "touch" | "create" | "replace" | "renew" | "destroy" | "drop" | undefined;
  /** `gone`: dropped, because the session has ended meanwhile. */
  outcome: "stored" | "gone" | "failed";
  /** How often it was tried. */
  attempts: number;
  /** Of `failed`: as of a load. */
  code?: string;
}

/** On `pgstore:batch`: a store's operations that left together have come to their end. */
export interface BatchEvent {
  /** The store's method: `find`, `replace`, `touch` and so on. */
  operation: string;
  /** How many there were: rows of the statement. */
  size: number;
  /** Milliseconds that the oldest of them waited before they left. */
  wait: number;
  /** Milliseconds from then to the answer, with whatever was tried again. */
  duration: number;
  /** How many of them failed. */
  failed: number;
  /** Of the first that failed: as of a load. */
  code?: string;
}

/** On `pgstore:store-error`: an operation of a store failed, in a batch or because it did not get that far. */
export interface StoreErrorEvent {
  /** As of a batch. */
  operation: string;
  /** As of a load. */
  code: string;
}

/** On `pgstore:cleanup`: a removal of expired rows has come to its end. */
export interface CleanupEvent {
  /** Rows, also of one that failed later. */
  removed: number;
  /** Milliseconds. */
  duration: number;
  /** When it failed, or was stopped by its signal: as of a load. */
  code?: string;
  /** When the periodic cleanup has removed nothing for several turns, though the same row has expired: it is locked, say. */
  heldUp?: true;
}

/** What is published, by the channel's name without `pgstore:`. */
export interface Events {
  gone: SessionEvent;
  stale: SessionEvent;
  duplicate: SessionEvent;
  conflict: SessionEvent;
  error: SessionEvent;
  load: LoadEvent;
  commit: CommitEvent;
  batch: BatchEvent;
  "store-error": StoreErrorEvent;
  cleanup: CleanupEvent;
}

const CHANNELS = {
  gone: channel("pgstore:gone"),
  stale: channel("pgstore:stale"),
  duplicate: channel("pgstore:duplicate"),
  conflict: channel("pgstore:conflict"),
  error: channel("pgstore:error"),
  load: channel("pgstore:load"),
  commit: channel("pgstore:commit"),
  batch: channel("pgstore:batch"),
  "store-error": channel("pgstore:store-error"),
  cleanup: channel("pgstore:cleanup"),
} satisfies Record<keyof Events, unknown>;

/** The names of all channels, without `pgstore:`. */
export const EVENT_NAMES = Object.keys(CHANNELS) as (keyof Events)[];

/** Says whether somebody listens: what an event costs is spent only then. */
export function isWatched(name: keyof Events): boolean {
  return CHANNELS[name].hasSubscribers;
}

/** Tells the observers, if there are any. */
export function publish<Name extends keyof Events>(name: Name, event: Events[Name]): void {
  if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish(event);
}

/** Functions for the events of some channels. */
export type Listeners = { [Name in keyof Events]?: (event: Events[Name]) => void };

/** Calls a function with each event of its channel. Returns what stops that; idempotent. */
export function listen(listeners: Listeners): () => void {
  const entries = Object.entries(listeners).map(
    ([name, listener]) => [`pgstore:${name}`, (event: unknown) => listener(event as never)] as const,
  );
  for (const [name, listener] of entries) subscribe(name, listener);
  return () => {
    for (const [name, listener] of entries) unsubscribe(name, listener);
  };
}

/** What an event says of an error: never its message, which may quote a value. */
export function codeOf(error: unknown): string {
  if (error instanceof PgStoreError) return error.code;
  return error instanceof Error ? error.name : typeof error;
}
