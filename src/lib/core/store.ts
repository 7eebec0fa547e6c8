import type { LoginDetails } from "./login-details.ts";
import type { StoreOperations } from "./stats.ts";

/** A live row: its bytes and its expiry. */
export interface StoredSession {
  /** Read-only: parallel look-ups of the same large session share these bytes. */
  data: Uint8Array;
  expiry: Date;
}

/**
 * The reason why a session ended.
 *
 * - "replaced": it was renewed under another id, or its holder has logged in again
 * - "destroyed": its holder ended it
 * - "revoked": it was ended from outside
 */
export type EndReason = "replaced" | "destroyed" | "revoked";

/** The result of a look-up: the live row, the reason why the session ended a short while ago, or undefined. */
export type Found = StoredSession | EndReason | undefined;

/** A live row with its id. */
export interface StoredEntry extends StoredSession {
  id: string;
}

/**
 * The three methods that every session store must have, as in SCS's `Store`.
 *
 * `id` is the key of a row: the SHA-256 of the token in the cookie, or with `hashTokens: false` the token itself.
 * A missing row is a value. An error means that the store failed. With these three methods alone, the last of two
 * parallel commits wins, and a commit that overlaps a `delete` can write the session back.
 */
export interface Store {
  /** Finds a live row. Resolves to undefined when the row is missing or has expired by the store's clock. */
  find(id: string): Promise<StoredSession | undefined>;
  /** Inserts the row or overwrites it: the last write wins. */
  save(id: string, data: Uint8Array, expiry: Date): Promise<void>;
  /** Removes a row if it exists. Resolves to whether it existed, in stores that know. */
  delete(id: string): Promise<unknown>;
}

/** A store with conditional writes: parallel requests lose no update, and an ended session never comes back. */
export interface ConditionalStore extends Store {
  /** Inserts a row. Resolves to false, with nothing changed, when the id is taken, even by an expired row. */
  create(id: string, data: Uint8Array, expiry: Date, options?: WriteOptions): Promise<WriteOutcome>;
  /**
   * Overwrites a live row if its bytes equal `previous`. Resolves to false, with nothing changed, when they differ or
   * the row is gone or expired.
   */
  replace(
    id: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: OperationOptions,
  ): Promise<boolean>;
  /**
   * Ends a live row if its bytes equal `previous` and inserts `newId`, in one step. Resolves to false, with nothing
   * changed, when the bytes differ, the row is gone or expired, or `newId` is taken.
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
   * Moves the expiry of a live row forward, never back. Resolves to whether the row is live: a row that is gone or
   * expired stays so.
   *
   * @param options - `unchanged` resolves to false for a row with other bytes. The bytes contain the session's deadline,
   *   so a touch never moves the expiry past a deadline that was set meanwhile
   */
  touch(id: string, expiry: Date, options?: TouchOptions & OperationOptions): Promise<boolean>;
}

/** Options of `touch`. */
export interface TouchOptions {
  /** The bytes that the row must hold. Default: any. */
  unchanged?: Uint8Array | undefined;
}

/**
 * A store for protocols that can only upsert, such as express-session's: the row of an ended session stays for a while, so
 * that a late write can't bring the session back.
 */
export interface EndingStore extends Store {
  /** Ends a session: `find` misses it at once, and `upsert` refuses it for a while. Resolves to whether it was live. */
  end(id: string): Promise<boolean>;
  /** Inserts the row or overwrites it. Resolves to false, with nothing changed, when its session was ended. */
  upsert(id: string, data: Uint8Array, expiry: Date): Promise<boolean>;
  /** Overwrites a live row, whatever it holds. Resolves to false, with nothing changed, when it is gone or expired. */
  update(id: string, data: Uint8Array, expiry: Date): Promise<boolean>;
  /** Sets the expiry of a live row, earlier or later. Resolves to false, with nothing changed, when it is gone or expired. */
  setExpiry(id: string, expiry: Date): Promise<boolean>;
}

/** Optional members of a store. */
export interface StoreExtras {
  /** Milliseconds that an operation may take, and that a commit waits for earlier commits of its session. Default: 5000. */
  readonly queryTimeout?: number | undefined;
  /**
   * Returns the store's own time, by which rows expire. Without it the manager uses the process's clock.
   *
   * @returns milliseconds since 1970
   */
  now?(): number | Promise<number>;
  /** Whether `now` always returns a number, because the clock is this process's own. */
  readonly hasLocalClock?: boolean | undefined;
  /**
   * Finds a live row, or the reason why its session ended a short while ago. A late request of a replaced or destroyed
   * session must not begin a new one: its cookie could overwrite the cookie of a login made meanwhile.
   */
  lookUp?(id: string, options?: OperationOptions): Promise<Found>;
  /**
   * Ends a session, even if it has been renewed under another id. Without it the manager calls `end`, which misses a
   * renewed session.
   *
   * @param userId - ends the session only if it belongs to this user
   * @returns the id under which the session was live, or undefined when it was not live
   */
  terminate?(id: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined>;
  /** Ends every session, page by page. @param onEnded - called with the ids of each page. An error that it throws stops the run */
  terminateAll?(onEnded: (ids: string[]) => void): Promise<void>;
  /** Resolves to the id under which a session is live after renewals, or to undefined when it is not live. */
  follow?(id: string): Promise<string | undefined>;
  /** Records that the holder of a revoked session has logged in again as `newId`: its late requests count as "replaced". */
  supersede?(id: string, newId: string): Promise<unknown>;
  /** Ends a session and keeps its row for a while. Without it the manager calls `delete`. */
  end?(id: string): Promise<boolean>;
  /** Lists the live rows, in no particular order. */
  all?(): AsyncIterable<StoredEntry>;
  /** Removes expired rows. Resolves to their number. */
  deleteExpired?(): Promise<number>;
  /** Counts the live rows. */
  count?(): Promise<number>;
  /** Sessions by user. Without it, sessions can't be listed or ended by user. */
  readonly users?: UserStore | undefined;
  /** Figures and searches for operators. */
  readonly operations?: StoreOperations | undefined;
}

/** Options of a store operation. A store that can't cancel operations ignores them. */
export interface OperationOptions {
  /**
   * Rejects the operation with its reason when it aborts. An operation not yet sent never runs. A write already sent
   * may still be carried out.
   */
  signal?: AbortSignal | undefined;
}

/** Options of a write that inserts a row. */
export interface WriteOptions extends OperationOptions {
  /** The user of the session. Stores without `users` ignore it. */
  owner?: Owner | undefined;
}

/**
 * The outcome of a write that inserts a row: true when it was written, false when nothing changed. With an owner also:
 *
 * - "few": written, and the user has at most `most` sessions, not counting logins at the same moment
 * - "revoked": nothing changed because the user's sessions were ended meanwhile. The write must not be retried
 */
export type WriteOutcome = boolean | "few" | "revoked";

/** The user of a session, as passed to `login`, with the recorded details of that login. */
export interface Owner extends Partial<LoginDetails> {
  userId: string;
  /** Tags by which the session can be found. Default: none. */
  tags?: readonly string[] | undefined;
  /** Marks a renewal instead of a login: the recorded details of the login stay. */
  goesOn?: boolean;
  /** The most sessions that the user may have. If set, a write may resolve to "few". */
  most?: number;
}

/** A live session of a user with the details of its login, without its data. */
export interface OwnedEntry extends LoginDetails {
  /** The id for `destroyById`. With `hashTokens: false` it is the token, which must not appear on a page or in a log. */
  id: string;
  /** The time of the login, by the database's clock. */
  created: Date;
  /** The time of the last write or touch, accurate to `touchAfter`. Without `idleTimeout`, requests that only read don't count. */
  lastSeen: Date;
  /** The time at which the session expires without further activity, by the database's clock. */
  expiry: Date;
}

/** A session found by a tag. */
export interface TaggedEntry {
  id: string;
  userId: string;
}

/** The session after which a page of a user's sessions begins. */
export interface OwnedPlace {
  created: Date;
  id: string;
}

/** The methods that find and end sessions by user. */
export interface UserStore {
  /** Lists a page of a user's live sessions, newest first. */
  list(userId: string, limit: number, after?: OwnedPlace): Promise<OwnedEntry[]>;
  /**
   * Ends the live sessions of a user except some, including those that a login is writing at that moment.
   *
   * @param except - ids of the sessions to keep: their present ids, or earlier ones that were renewed
   * @param onEnded - called with the ids of each page, if the store works page by page
   * @returns the ids of the ended sessions
   */
  end(userId: string, except: readonly string[], onEnded?: (ids: string[]) => void): Promise<string[]>;
  /**
   * Ends the oldest live sessions of a user until `most` are left.
   *
   * @param onEnded - called with the ids of each page, if the store works page by page
   * @returns the ids of the ended sessions
   */
  trim(userId: string, most: number, onEnded?: (ids: string[]) => void): Promise<string[]>;
  /**
   * Lists live sessions with a tag, to be ended. A login with the tag that is being written at the time of the call is
   * listed, or its write resolves to "revoked". Without this method a login can't have tags.
   */
  listByTag?(tag: string, limit: number): Promise<TaggedEntry[]>;
}
