import type { StoreOperations } from "./stats.ts";

/** A live row: the bytes and the instant at which it ends. */
export interface StoredSession {
  /** Not to be changed: those who look for the same large session at once share its bytes. */
  data: Uint8Array;
  expiry: Date;
}

/**
 * Why a session ended. "replaced": it goes on under another id, or its holder has logged in anew. "destroyed": its holder
 * ended it. "revoked": it was ended from outside.
 */
export type EndReason = "replaced" | "destroyed" | "revoked";

/** What is known of an id: its live row; for a short while, why its session ended; or nothing. */
export type Found = StoredSession | EndReason | undefined;

/** A live row with its key. */
export interface StoredEntry extends StoredSession {
  id: string;
}

/**
 * Where sessions are kept: all that a custom store must have. SCS: `Engine`, later `Store`.
 *
 * `id` is the key of a row: the SHA-256 of the token in the cookie, or with `hashTokens: false` the token itself.
 * Absence is a value; an error means that the store failed. With these three methods alone, the last of two parallel
 * commits wins, and a commit that overlaps a `delete` can write the session back.
 */
export interface Store {
  /** Resolves to the row, or to undefined when there is none or when it has expired by the store's clock. */
  find(id: string): Promise<StoredSession | undefined>;
  /** Inserts the row or overwrites it: the last write wins. */
  save(id: string, data: Uint8Array, expiry: Date): Promise<void>;
  /** Removes the row; does nothing when there is none. A store that can tell resolves to whether there was one. */
  delete(id: string): Promise<unknown>;
}

/** A store whose writes are conditional: nothing is lost under parallel requests, nothing ended comes back. */
export interface ConditionalStore extends Store {
  /** Inserts a row. Resolves to false, and changes nothing, when the id is taken, even by an expired row. */
  create(id: string, data: Uint8Array, expiry: Date, options?: WriteOptions): Promise<WriteOutcome>;
  /**
   * Overwrites a live row whose bytes are `previous`. Resolves to false, and changes nothing, when they are others, or
   * when the row is gone or expired.
   */
  replace(
    id: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: OperationOptions,
  ): Promise<boolean>;
  /**
   * Ends the live row whose bytes are `previous` and inserts `newId` in one step. Resolves to false, and changes
   * nothing, under the conditions of `replace`, or when `newId` is taken.
   */
  renew(
    id: string,
    newId: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: WriteOptions,
  ): Promise<WriteOutcome>;
  /**
   * Moves the expiry of a live row forward; an earlier one leaves it as it is. Resolves to true when the row is live,
   * to false when it is gone or expired, which it then stays.
   *
   * @param options - unchanged: only a row that holds these bytes, otherwise false. A session's deadline is among them, so a
   *   touch never moves the expiry past a deadline that was set meanwhile
   */
  touch(id: string, expiry: Date, options?: TouchOptions & OperationOptions): Promise<boolean>;
}

/** What `touch` takes besides. */
export interface TouchOptions {
  /** The bytes that the row must hold. Default: any. */
  unchanged?: Uint8Array | undefined;
}

/**
 * What a store needs for protocols that can only upsert, as express-session's: their late writes would bring an ended
 * session back, if its row did not tell.
 */
export interface EndingStore extends Store {
  /** Ends the session of a row: it is absent from now on, and `upsert` refuses it for a while. Resolves to whether there was one. */
  end(id: string): Promise<boolean>;
  /** Inserts the row or overwrites it. Resolves to false, and changes nothing, when its session was ended. */
  upsert(id: string, data: Uint8Array, expiry: Date): Promise<boolean>;
  /** Overwrites a live row, whatever it holds. Resolves to false when it is gone or expired, which it then stays. */
  update(id: string, data: Uint8Array, expiry: Date): Promise<boolean>;
  /** Sets the expiry of a live row, forward or back. Resolves to false when it is gone or expired, which it then stays. */
  setExpiry(id: string, expiry: Date): Promise<boolean>;
}

/** What a store may have besides. */
export interface StoreExtras {
  /** Milliseconds that an operation may take; a commit waits no longer for the earlier ones of its session. Default: 5000. */
  readonly queryTimeout?: number | undefined;
  /**
   * Tells the store's own time, by which rows expire. Without it the manager takes the process's clock.
   *
   * @returns milliseconds since 1970
   */
  now?(): number | Promise<number>;
  /**
   * As `find`, but tells why a session was ended a short while ago. A request that still carries the token of one that was
   * replaced or destroyed must not begin another: its cookie could wipe out the one of whoever has logged in meanwhile.
   */
  lookUp?(id: string, options?: OperationOptions): Promise<Found>;
  /**
   * Ends a session, also when it goes on under another id by now. Without it the manager calls `end`, which misses that.
   *
   * @param userId - ends it only if it is this user's
   * @returns the id under which it was live; undefined when none was
   */
  terminate?(id: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined>;
  /** Ends every session, page by page. @param onEnded - called with the ids of each page; what it throws stops it */
  terminateAll?(onEnded: (ids: string[]) => void): Promise<void>;
  /** Resolves to the id under which a session is live by now; undefined when it is not. */
  follow?(id: string): Promise<string | undefined>;
  /** Notes that the holder of a revoked session has logged in anew under `newId`: late requests count as those of a replaced one. */
  supersede?(id: string, newId: string): Promise<unknown>;
  /** As of `EndingStore`. Without it the manager deletes. */
  end?(id: string): Promise<boolean>;
  /** Lists the live rows, in no particular order. */
  all?(): AsyncIterable<StoredEntry>;
  /** Removes what has expired. */
  deleteExpired?(): Promise<number>;
  /** Counts the live rows. */
  count?(): Promise<number>;
  /** Sessions by user. Without it nobody can find a session by its user. */
  readonly users?: UserStore | undefined;
  /** For operators. */
  readonly operations?: StoreOperations | undefined;
}

/** Options of a store's operations. A store that can't cancel an operation ignores them. */
export interface OperationOptions {
  /** Rejects with its reason when it aborts. An operation that has not left by then never does; a write that has may still be carried out. */
  signal?: AbortSignal | undefined;
}

/** Options of writes that insert a row. */
export interface WriteOptions extends OperationOptions {
  /** Whose session it is. Only for stores with `users`: others ignore it. */
  owner?: Owner | undefined;
}

/**
 * What became of a write that inserts a row: true when it was done, false when nothing happened. Only with an owner:
 * - "few": done, and the user has at most `most` sessions, not counting logins at the same moment
 * - "revoked": nothing happened, as the user's sessions were ended while it was under way, and it must not be tried again
 */
export type WriteOutcome = boolean | "few" | "revoked";

/** Whose session a row is, as `login` has said, and where it was begun from, as far as that is recorded. */
export interface Owner {
  userId: string;
  ip?: string | undefined;
  userAgent?: string | undefined;
  /** By which the session can be found; none: undefined. */
  tags?: readonly string[] | undefined;
  /** It is no login: the user's session goes on under another id, and what is known of its login stays. */
  goesOn?: boolean;
  /** The most sessions that the user may have. With it a write may resolve to "few". */
  most?: number;
}

/** What a store tells of a user's live session: nothing that it holds. */
export interface OwnedEntry {
  id: string;
  created: Date;
  lastSeen: Date;
  expiry: Date;
  ip: string | undefined;
  userAgent: string | undefined;
}

/** What a store tells of a session that was found by a tag. */
export interface TaggedEntry {
  id: string;
  userId: string;
}

/** Where a page of a user's sessions begins: after this one. */
export interface OwnedPlace {
  created: Date;
  id: string;
}

/** What a store needs to find and end sessions by their user. */
export interface UserStore {
  /** A page of a user's live sessions, the newest first. */
  list(userId: string, limit: number, after?: OwnedPlace): Promise<OwnedEntry[]>;
  /**
   * Ends the live sessions of a user but some, and with them those that a login is writing at that moment. A session is spared
   * by the id that it has, or had before it was renewed. Resolves to the ids of those that it ended.
   *
   * @param onEnded - may be called with these ids while it goes on; then with all of them
   */
  end(userId: string, except: readonly string[], onEnded?: (ids: string[]) => void): Promise<string[]>;
  /** Ends the oldest live sessions of a user until `most` are left. Resolves to the ids of those that it ended. @param onEnded - as of `end` */
  trim(userId: string, most: number, onEnded?: (ids: string[]) => void): Promise<string[]>;
  /**
   * Lists live sessions that have a tag, to be ended. A login with the tag that was being written when this was called is
   * among them, or its write resolves to "revoked". Without this method a login can't have tags.
   */
  listByTag?(tag: string, limit: number): Promise<TaggedEntry[]>;
}
