import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import { atMost, systemNow } from "../core/time.ts";
import { type Duration, OptionReader } from "../core/options.ts";
import { publish } from "../core/events.ts";
import { sha256 } from "../core/token.ts";
import { assertUserId } from "../core/user-id.ts";
import { KeyedQueue } from "../manager/keyed-queue.ts";
import type { DatabaseClient } from "../postgres/drivers/driver.ts";
import type { Store, StoredEntry, StoreExtras } from "../core/store.ts";
import { connectPgSimpleLayout } from "../postgres/sql/layout.ts";
import { PgStore } from "../postgres/pg-store.ts";
import type { PgStoreOptions } from "../postgres/options.ts";
import { type HostRequest, inflate } from "./host.ts";
import { expiryOf, parseSession, sessionBytes, type ExpressSessionData } from "./data.ts";
import { asError } from "../adapters/node-error.ts";
import { whenClosed } from "../adapters/request.ts";
import { type SessionKeeper, withEndings } from "../manager/complete-store.ts";

/** Options of `ExpressSessionStore`. With `pool` it also takes the options of `PgStore`. */
export interface ExpressSessionStoreOptions extends PgStoreOptions {
  /** Store that keeps the sessions: a PgStore after `migrate()`, a MemoryStore, or one of your own. The caller closes it. */
  store?: (Store & StoreExtras) | undefined;
  /** Client of the database, as for `PgStore`, instead of `store`. The caller closes it. */
  pool?: DatabaseClient | undefined;
  /**
   * Layout of the table. `"connect-pg-simple"` needs `pool` and works on that package's existing table, `"session"` unless `table` names
   * another. Default `"pgstore"`.
   */
  layout?: "pgstore" | "connect-pg-simple" | undefined;
  /** Lifetime of a session whose cookie has no `expires` and no `maxAge`. Default `"1 day"`. */
  ttl?: Duration | undefined;
  /**
   * Returns the user of a session for `listByUser` and `destroyByUser`. With Passport: `(session) => session.passport?.user`. A result other
   * than a string or number means that no user is logged in.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- applications augment the type of their sessions
  userOf?: ((session: any) => unknown) | undefined;
}

/** A live session of a user. */
export interface ListedSession {
  /** SHA-256 of the session ID in the cookie. It is safe to show. */
  id: string;
  expiry: Date;
}

/** A session of express-session. It holds the request, which in Express holds the response. */
type HostSession = ExpressSessionData & { req?: { res?: unknown } };

type Callback<T> = (error: unknown, result?: T) => void;
// oxlint-disable-next-line typescript/no-explicit-any -- its class is express-session's, and applications augment its type
type HostsOwn = any;

/** Number of sessions that `clear` destroys at a time. */
const CLEAR_BATCH = 1000;
/** Maximum size of each of the two maps of live sessions, at some 100 bytes an entry. */
const MAX_SEEN = 25_000;
/** Maximum length of a session ID, in bytes. */
const MAX_SID_BYTES = 1024;

/**
 * Session store for express-session 1.x and @fastify/session.
 *
 * A destroyed session stays destroyed: the `set` or `touch` of a request that loaded it earlier only writes to a live
 * row. These packages always write the whole session, so the later of two parallel requests overwrites the earlier
 * one's changes. `SessionManager` keeps both.
 *
 * Each method takes a callback, which is called exactly once and outside of any promise, or returns a promise. The
 * error is a PgStoreError when the store fails, and a TypeError when the session or its ID can't be stored.
 *
 * @example
 * app.use(session({ store: new ExpressSessionStore({ pool, layout: "connect-pg-simple" }), secret, resave: false, saveUninitialized: false }));
 */
export class ExpressSessionStore extends EventEmitter {
  /** Gives a request a new session. Set by express-session. */
  generate: ((request: HostRequest) => void) | undefined;
  readonly #store: SessionKeeper;
  readonly #extras: StoreExtras;
  readonly #own: PgStore | undefined;
  readonly #ttl: number;
  readonly #userOf: ((session: ExpressSessionData) => unknown) | undefined;
  /** Whether the table holds hashes of session IDs. */
  readonly #isHashed: boolean;
  /** The session ID of each session that a request of express-session has loaded. */
  readonly #loaded = new WeakMap<object, string>();
  /** Expiries of the sessions read or stored last, in milliseconds since 1970. */
  #seen = new Map<string, number>();
  /** The previous `#seen`. In a single Map, finding the oldest entry would step over every entry removed before. */
  #seenBefore = new Map<string, number>();
  /** Runs the writes of one session in turn, so that a `set` under way can't land after a later `destroy`. */
  readonly #queue: KeyedQueue<unknown>;

  /** Creates a store with either `store` or `pool`. @throws TypeError, naming the option, when one is wrong */
  constructor(options: ExpressSessionStoreOptions) {
    super();
    const read = new OptionReader(options ?? {});
    const layout = read.choice("layout", ["pgstore", "connect-pg-simple"], "pgstore");
    const { store, pool, layout: _layout, ttl: _ttl, userOf: _userOf, ...rest } = options ?? {};
    this.#userOf = read.callback<(session: ExpressSessionData) => unknown>("userOf");
    this.#isHashed = layout === "pgstore";
    this.#ttl = read.duration("ttl", "1 day", { isPositive: true });
    let kept: Store & StoreExtras;
    if (store !== undefined) {
      if (pool !== undefined) throw new TypeError("pool: cannot be combined with store");
      const others = Object.entries<unknown>(rest).filter(([, value]) => value !== undefined);
      const [other = layout === "pgstore" ? undefined : "layout"] = others.map(([name]) => name);
      if (other !== undefined) throw new TypeError(`${other}: cannot be combined with store, only with pool`);
      kept = store;
    } else {
      if (pool === undefined) throw new TypeError("store, pool: expected one of the two, got neither");
      const inside = layout === "pgstore" ? {} : { layout: connectPgSimpleLayout };
      const table = rest.table ?? (layout === "pgstore" ? undefined : "session");
      kept = this.#own = new PgStore(pool, { ...rest, table }, inside);
    }
    this.#extras = kept;
    this.#store = withEndings(kept);
    this.#queue = new KeyedQueue(kept.queryTimeout);
  }

  /**
   * Reads a session. Undefined unless it is live. Its `cookie.expires` is the row's expiry, unless the cookie has no
   * `expires`.
   */
  get(sid: string): Promise<ExpressSessionData | undefined>;
  get(sid: string, callback: Callback<ExpressSessionData | undefined>): void;
  get(
    sid: string,
    callback?: Callback<ExpressSessionData | undefined>,
  ): Promise<ExpressSessionData | undefined> | void {
    return answer(() => this.#read(sid), callback);
  }

  /** Stores a session until its `cookie.expires`, or for `ttl`. Does nothing when the session was destroyed meanwhile. */
  set(sid: string, session: ExpressSessionData): Promise<void>;
  set(sid: string, session: ExpressSessionData, callback?: Callback<void>): void;
  set(sid: string, session: ExpressSessionData, callback?: Callback<void>): Promise<void> | void {
    return answer(async () => {
      const data = sessionBytes(session);
      const isLoaded = this.#loaded.get(session) === sid;
      await this.#write(sid, session, async (id, until) => {
        const wasLive = isLoaded || (this.#seen.get(id) ?? this.#seenBefore.get(id) ?? 0) > (await this.#now());
        return this.#store[wasLive ? "update" : "upsert"](id, data, until);
      });
    }, callback);
  }

  /** Moves a session's expiry to its `cookie.expires`, or to `ttl` from now. Does nothing when the session has ended. */
  touch(sid: string, session: ExpressSessionData): Promise<void>;
  touch(sid: string, session: ExpressSessionData, callback?: Callback<void>): void;
  touch(sid: string, session: ExpressSessionData, callback?: Callback<void>): Promise<void> | void {
    return answer(() => this.#write(sid, session, (id, until) => this.#store.setExpiry(id, until)), callback);
  }

  /** Destroys a session after its pending writes. */
  destroy(sid: string): Promise<void>;
  destroy(sid: string, callback?: Callback<void>): void;
  destroy(sid: string, callback?: Callback<void>): Promise<void> | void {
    return answer(async () => {
      if (!isSid(sid)) return;
      const id = this.#idOf(sid);
      await this.#queue.enter(id, () => this.#store.end(id));
    }, callback);
  }

  /** Reads every live session into memory. */
  all(): Promise<ExpressSessionData[]>;
  all(callback: Callback<ExpressSessionData[]>): void;
  all(callback?: Callback<ExpressSessionData[]>): Promise<ExpressSessionData[]> | void {
    return answer(async () => {
      const sessions: ExpressSessionData[] = [];
      for await (const { data, expiry } of this.#rows()) {
        const session = parseSession(data, expiry);
        if (session !== undefined) sessions.push(session);
      }
      return sessions;
    }, callback);
  }

  /** Counts the live sessions of the table, including other programs' sessions. */
  length(): Promise<number>;
  length(callback: Callback<number>): void;
  length(callback?: Callback<number>): Promise<number> | void {
    return answer(async () => this.#extras.count?.() ?? (await this.all()).length, callback);
  }

  /** Destroys every live session of the table, including other programs' sessions. */
  clear(): Promise<void>;
  clear(callback?: Callback<void>): void;
  clear(callback?: Callback<void>): Promise<void> | void {
    return answer(async () => {
      let ids: string[] = [];
      const end = async (): Promise<void> => {
        await Promise.all(ids.map((id) => this.#store.end(id)));
        ids = [];
      };
      for await (const { id } of this.#rows()) {
        if (ids.push(id) === CLEAR_BATCH) await end();
      }
      await end();
    }, callback);
  }

  /** Removes expired rows, as the periodic cleanup does. The name is connect-pg-simple's. */
  pruneSessions(): Promise<void>;
  pruneSessions(callback?: Callback<void>): void;
  pruneSessions(callback?: Callback<void>): Promise<void> | void {
    return answer(async () => void (await this.#extras.deleteExpired?.()), callback);
  }

  /**
   * Lists the live sessions of a user. It reads every session of the table, because only `userOf` knows a session's user.
   *
   * @throws TypeError when the option `userOf` is missing, or the store can't list its sessions
   */
  async listByUser(userId: string): Promise<ListedSession[]> {
    const found: ListedSession[] = [];
    for await (const { id, expiry } of this.#ofUser("listByUser", userId))
      found.push({ id: this.#shownIdOf(id), expiry });
    return found;
  }

  /**
   * Revokes the live sessions of a user, in passes over the whole table, until a pass finds none. A login whose `set`
   * reaches the database afterwards is not revoked.
   *
   * @param options - `except`: sessions to keep, by the session ID in the cookie (`request.sessionID`) or the id of `listByUser`
   * @returns the number of revoked sessions
   * @throws TypeError when the option `userOf` is missing, or the store can't list its sessions
   */
  async destroyByUser(
    userId: string,
    options: { except?: string | readonly string[] | undefined } = {},
  ): Promise<number> {
    const spared = new Set([options.except ?? []].flat().flatMap((id) => [id, sha256(id)]));
    let ended = 0;
    for (let isDone = false; !isDone;) {
      isDone = true;
      for await (const { id } of this.#ofUser("destroyByUser", userId)) {
        if (spared.has(this.#shownIdOf(id))) continue;
        if ((await this.#queue.enter(id, () => this.#store.end(id))) !== true) continue;
        ended++;
        isDone = false;
      }
    }
    return ended;
  }

  /** Destroys the request's session and gives the request a new one. Called by express-session. */
  regenerate(request: HostRequest, callback?: (error?: unknown) => void): void {
    this.destroy(request.sessionID ?? "", (error) => {
      this.generate?.(request);
      callback?.(error ?? undefined);
    });
  }

  /** Creates the request's session from a stored one. Called by express-session. */
  createSession(request: HostRequest, session: ExpressSessionData): HostsOwn {
    const made = inflate(this.generate, request, session);
    this.#loaded.set(made, made.id);
    return made;
  }

  /** Reads a session in the form that `request.session` has. Part of express-session's interface. */
  load(sid: string, callback?: Callback<HostsOwn>): void {
    const request = { sessionID: sid, sessionStore: this, headers: {} };
    const load = async (): Promise<HostsOwn> => {
      const found = await this.#read(sid);
      return found && this.createSession(request, found);
    };
    void answer(load, callback ?? (() => {}));
  }

  /** Stops the periodic removal of expired rows. Idempotent. */
  stopCleanup(): void {
    this.#own?.stopCleanup();
  }

  /**
   * With `pool`, waits for pending writes and stops the cleanup. Never closes the `pool` or `store` of the options.
   * Idempotent.
   */
  async close(): Promise<void> {
    if (this.#own === undefined) return;
    // Writes that wait for earlier ones of their session would find the store closed.
    await atMost(this.#queue.idle(), this.#own.queryTimeout);
    await this.#own.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #read(sid: string): Promise<ExpressSessionData | undefined> {
    if (!isSid(sid)) return undefined;
    const id = this.#idOf(sid);
    const found = await this.#store.find(id);
    if (found === undefined) return undefined;
    const session = parseSession(found.data, found.expiry);
    if (session === undefined) publish("error", { id: sha256(sid), error: new TypeError("the row holds no session") });
    else this.#remember(id, found.expiry);
    return session;
  }

  /** Writes a session's row after the earlier writes of the same session. */
  async #write(
    sid: string,
    session: ExpressSessionData,
    write: (id: string, until: Date) => Promise<boolean>,
  ): Promise<void> {
    const id = this.#idOf(sid);
    const expiry = expiryOf(session, () => this.#now(), this.#ttl);
    // If the write's turn never comes, this promise is not awaited. Its rejection must not end the process.
    expiry.catch(() => {});
    const inTurn = async (): Promise<boolean> => {
      const until = await expiry;
      const done = await write(id, until);
      if (done) this.#remember(id, until);
      return done;
    };
    const isDone = await this.#queue.enter(id, inTurn, () => whenClosed((session as HostSession).req?.res));
    if (isDone !== true) publish("gone", { id: sha256(sid) });
  }

  async *#ofUser(operation: string, userId: string): AsyncGenerator<{ id: string; expiry: Date }> {
    assertUserId(operation, userId);
    const userOf = this.#userOf;
    if (userOf === undefined)
      throw new TypeError(`userOf: expected a function, got undefined. ${operation} needs it to find a session's user`);
    for await (const { id, data, expiry } of this.#rows()) {
      const session = parseSession(data, expiry);
      const user: unknown = session && userOf(session);
      if ((typeof user === "string" || typeof user === "number") && String(user) === userId) yield { id, expiry };
    }
  }

  #idOf(sid: string): string {
    if (!isSid(sid)) throw new TypeError(`sid: expected a well-formed string of 1 to ${MAX_SID_BYTES} bytes`);
    return this.#isHashed ? sha256(sid) : sid;
  }

  #shownIdOf(id: string): string {
    return this.#isHashed ? id : sha256(id);
  }

  #rows(): AsyncIterable<StoredEntry> {
    if (this.#extras.all === undefined) throw new TypeError("store: expected a store with all() to list sessions");
    return this.#extras.all();
  }

  #now(): number | Promise<number> {
    return this.#extras.now?.() ?? systemNow();
  }

  /** Remembers that a session was live a moment ago. */
  #remember(id: string, expiry: Date): void {
    this.#seen.set(id, expiry.getTime());
    if (this.#seen.size < MAX_SEEN) return;
    this.#seenBefore = this.#seen;
    this.#seen = new Map();
  }
}

/**
 * Passes a method's outcome to a callback, outside of the promise, so that an error of the callback doesn't call it again.
 *
 * Without a callback it returns the promise. Its rejection never ends the process, because express-session drops some promises.
 */
function answer<T>(work: () => Promise<T>, callback: Callback<T> | undefined): Promise<T> | void {
  const promise = work();
  // Some programs pass a null, or koa-session its own arguments.
  if (typeof callback !== "function") {
    promise.catch(() => {});
    return promise;
  }
  promise.then(
    (result) => process.nextTick(callback, null, result),
    (error: unknown) => process.nextTick(callback, asError(error)),
  );
}

/** Says whether a value can be a session ID. */
function isSid(sid: unknown): sid is string {
  return typeof sid === "string" && sid !== "" && sid.isWellFormed() && Buffer.byteLength(sid) <= MAX_SID_BYTES;
}
