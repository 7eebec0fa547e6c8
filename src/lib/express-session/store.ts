import { EventEmitter } from "node:events";
import { systemNow } from "../core/time.ts";
import { type Duration, OptionReader } from "../core/options.ts";
import { publish } from "../core/events.ts";
import { sha256 } from "../core/token.ts";
import { assertUserId } from "../core/user-id.ts";
import { KeyedQueue } from "../manager/keyed-queue.ts";
import type { PgClient, PostgresSql } from "../postgres/drivers/driver.ts";
import type { Store, StoredEntry, StoreExtras } from "../core/store.ts";
import { connectPgSimpleLayout } from "../postgres/sql/layout.ts";
import { PgStore } from "../postgres/pg-store.ts";
import type { PgStoreOptions } from "../postgres/options.ts";
import { type HostRequest, inflate, regenerate } from "./host.ts";
import { expiryOf, parseSession, sessionBytes, type ExpressSessionData } from "./data.ts";
import { whenClosed } from "../adapters/request.ts";
import { type SessionKeeper, withEndings } from "../manager/complete-store.ts";

/** Options of `ExpressSessionStore`; those of `PgStore` go with `pool`. */
export interface ExpressSessionStoreOptions extends PgStoreOptions {
  /** Where the sessions go: a PgStore on a table that `migrate()` made, a MemoryStore, or one of your own. Stays yours. */
  store?: (Store & StoreExtras) | undefined;
  /** Instead of `store`: what `PgStore` takes. Stays yours. */
  pool?: PgClient | PostgresSql | undefined;
  /**
   * What the table is like: `"pgstore"` (the default), or `"connect-pg-simple"`, with `pool`: that package's own table as it
   * is, `"session"` unless `table` names another.
   */
  layout?: "pgstore" | "connect-pg-simple" | undefined;
  /** How long a session lasts whose cookie has no `expires`. Default `"1 day"`. */
  ttl?: Duration | undefined;
  /**
   * Says whose session it is, for `listByUser` and `destroyByUser`: with Passport `(session) => session.passport?.user`. A string or a
   * number; anything else: nobody's.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- applications augment the type of their sessions
  userOf?: ((session: any) => unknown) | undefined;
}

/** A live session of a user. */
export interface ListedSession {
  /** The SHA-256 of the session's id in the cookie: safe to show. */
  id: string;
  expiry: Date;
}

/** A session of express-session knows its request, and in Express that knows its response. */
type HostSession = ExpressSessionData & { req?: { res?: unknown } };

type Callback<T> = (error: unknown, result?: T) => void;
// oxlint-disable-next-line typescript/no-explicit-any -- its class is express-session's, and applications augment its type
type HostsOwn = any;

/** Sessions that `clear` ends at a time. */
const CLEARED_AT_ONCE = 1000;
/** Sessions that are remembered as live, some 100 bytes each. */
const MAX_SEEN = 50_000;
/** Bytes of a session's id. */
const MAX_SID_BYTES = 1024;

/**
 * A store for express-session 1.x and @fastify/session.
 *
 * A destroyed session is not brought back by the `set` or `touch` of a request that loaded it earlier, however late: these
 * only write to a row that is live. That interface knows no more than "write this", so of parallel requests with one
 * session the last one's whole session wins; `SessionManager` keeps the changes of both.
 *
 * Each method takes a callback, which is called exactly once and outside of any promise, or returns a promise. Errors are
 * those of `PgStore`; TypeError for an id or a session that can't be stored.
 */
export class ExpressSessionStore extends EventEmitter {
  /** Set by express-session: gives a request a new session. */
  generate: ((request: HostRequest) => void) | undefined;
  readonly #store: SessionKeeper;
  readonly #extras: StoreExtras;
  readonly #own: PgStore | undefined;
  readonly #keyOf: (sid: string) => string;
  readonly #ttl: number;
  readonly #userOf: ((session: ExpressSessionData) => unknown) | undefined;
  /** Whether the keys of rows are hashes of ids. */
  readonly #isHashed: boolean;
  /** The sessions that express-session's requests have loaded, and under which ids. */
  readonly #loaded = new WeakMap<object, string>();
  /** Until when the sessions are live that were read or stored last, in milliseconds since 1970. */
  readonly #seen = new Map<string, number>();
  /** Writes of one session follow each other: a `set` that is under way must not come after the `destroy` that follows it. */
  readonly #queue: KeyedQueue<unknown>;

  /** @throws TypeError when an option is wrong; it names the option */
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
    this.#keyOf = layout === "pgstore" ? (sid) => sha256(assertSid(sid)) : assertSid;
  }

  /** Reads a session; undefined when there is none. Its `cookie.expires` is the row's, unless the cookie has none. */
  get(sid: string): Promise<ExpressSessionData | undefined>;
  get(sid: string, callback: Callback<ExpressSessionData | undefined>): void;
  get(
    sid: string,
    callback?: Callback<ExpressSessionData | undefined>,
  ): Promise<ExpressSessionData | undefined> | void {
    return answer(this.#get(sid), callback);
  }

  /** Stores a session until its `cookie.expires`, or for `ttl`. Dropped when the session was destroyed meanwhile. */
  set(sid: string, session: ExpressSessionData): Promise<void>;
  set(sid: string, session: ExpressSessionData, callback?: Callback<void>): void;
  set(sid: string, session: ExpressSessionData, callback?: Callback<void>): Promise<void> | void {
    return answer(this.#set(sid, session), callback);
  }

  /** Moves a session's end to its `cookie.expires`, or to `ttl` from now. Does nothing when it is gone. */
  touch(sid: string, session: ExpressSessionData): Promise<void>;
  touch(sid: string, session: ExpressSessionData, callback?: Callback<void>): void;
  touch(sid: string, session: ExpressSessionData, callback?: Callback<void>): Promise<void> | void {
    return answer(this.#touch(sid, session), callback);
  }

  /** Ends a session, after what is being stored of it. */
  destroy(sid: string): Promise<void>;
  destroy(sid: string, callback?: Callback<void>): void;
  destroy(sid: string, callback?: Callback<void>): Promise<void> | void {
    return answer(this.#destroy(sid), callback);
  }

  /** Reads every live session into memory. */
  all(): Promise<ExpressSessionData[]>;
  all(callback: Callback<ExpressSessionData[]>): void;
  all(callback?: Callback<ExpressSessionData[]>): Promise<ExpressSessionData[]> | void {
    return answer(this.#all(), callback);
  }

  /** Counts the live sessions of the table, whoever made them. */
  length(): Promise<number>;
  length(callback: Callback<number>): void;
  length(callback?: Callback<number>): Promise<number> | void {
    return answer(this.#length(), callback);
  }

  /** Ends every live session of the table, whoever made it. */
  clear(): Promise<void>;
  clear(callback?: Callback<void>): void;
  clear(callback?: Callback<void>): Promise<void> | void {
    return answer(this.#clear(), callback);
  }

  /** Removes what has expired, as the periodic cleanup does. connect-pg-simple's name for it. */
  pruneSessions(): Promise<void>;
  pruneSessions(callback?: Callback<void>): void;
  pruneSessions(callback?: Callback<void>): Promise<void> | void {
    return answer(this.#prune(), callback);
  }

  /**
   * Lists the live sessions of a user, as `userOf` says. It reads every session of the table.
   *
   * @throws TypeError without `userOf`, and for a store that can't list
   */
  async listByUser(userId: string): Promise<ListedSession[]> {
    const found: ListedSession[] = [];
    for await (const { key, expiry } of this.#ofUser("listByUser", userId)) found.push({ id: this.#idOf(key), expiry });
    return found;
  }

  /**
   * Ends the live sessions of a user, as `userOf` says, and looks again until none is left. It reads every session of the table. A login
   * whose `set` reaches the database after that is a new one.
   *
   * @param options - `except`: ids of sessions that go on, as in the cookie (`request.sessionID`) or as `listByUser` gives them
   * @returns how many have ended
   * @throws TypeError without `userOf`, and for a store that can't list
   */
  async destroyByUser(
    userId: string,
    options: { except?: string | readonly string[] | undefined } = {},
  ): Promise<number> {
    const spared = new Set([options.except ?? []].flat().flatMap((id) => [id, sha256(id)]));
    let ended = 0;
    for (let isDone = false; !isDone;) {
      isDone = true;
      for await (const { key } of this.#ofUser("destroyByUser", userId)) {
        if (spared.has(this.#idOf(key))) continue;
        if ((await this.#queue.enter(key, () => this.#store.end(key))) !== true) continue;
        ended++;
        isDone = false;
      }
    }
    return ended;
  }

  /** Of express-session: ends the request's session and gives it a new one. */
  regenerate(request: HostRequest, callback?: (error?: unknown) => void): void {
    regenerate(this, request, callback);
  }

  /** Of express-session: makes the request's session of a stored one. */
  createSession(request: HostRequest, session: ExpressSessionData): HostsOwn {
    const made = inflate(this.generate, request, session);
    this.#loaded.set(made, made.id);
    return made;
  }

  /** Of express-session: reads a session as `request.session` would be. */
  load(sid: string, callback?: Callback<HostsOwn>): void {
    const request = { sessionID: sid, sessionStore: this, headers: {} };
    const made = this.#get(sid).then((found) => found && (this.createSession(request, found) as unknown));
    void answer(made, callback ?? (() => {}));
  }

  /** Stops the periodic removal of expired rows. Idempotent. */
  stopCleanup(): void {
    this.#own?.stopCleanup();
  }

  /** Waits for writes under way and stops the cleanup; never ends a pool or a store that it was given. Idempotent. */
  async close(): Promise<void> {
    await this.#own?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #get(sid: string): Promise<ExpressSessionData | undefined> {
    if (!isSid(sid)) return undefined;
    const key = this.#keyOf(sid);
    const found = await this.#store.find(key);
    if (found === undefined) return undefined;
    const session = parseSession(found.data, found.expiry);
    if (session === undefined) publish("error", { id: sha256(sid), error: new TypeError("the row is no session") });
    else this.#remember(key, found.expiry);
    return session;
  }

  async #set(sid: string, session: ExpressSessionData): Promise<void> {
    const key = this.#keyOf(sid);
    const data = sessionBytes(session);
    const expiry = this.#expiryOf(session);
    const isLoaded = this.#loaded.get(session) === sid;
    await this.#write(sid, key, session, expiry, async (until) => {
      const wasLive = isLoaded || (this.#seen.get(key) ?? 0) > (await this.#now());
      return this.#store[wasLive ? "update" : "upsert"](key, data, until);
    });
  }

  async #touch(sid: string, session: ExpressSessionData): Promise<void> {
    const key = this.#keyOf(sid);
    await this.#write(sid, key, session, this.#expiryOf(session), (until) => this.#store.setExpiry(key, until));
  }

  /** Writes a row after what was begun before for the same session. */
  async #write(
    sid: string,
    key: string,
    session: ExpressSessionData,
    expiry: Promise<Date>,
    write: (until: Date) => Promise<boolean>,
  ): Promise<void> {
    // Where its turn does not come, nobody looks at it.
    expiry.catch(() => {});
    const inTurn = async (): Promise<boolean> => {
      const until = await expiry;
      const done = await write(until);
      if (done) this.#remember(key, until);
      return done;
    };
    const isDone = await this.#queue.enter(key, inTurn, () => whenClosed((session as HostSession).req?.res));
    if (isDone !== true) publishGone(sid);
  }

  async #destroy(sid: string): Promise<void> {
    if (!isSid(sid)) return;
    const key = this.#keyOf(sid);
    await this.#queue.enter(key, () => this.#store.end(key));
  }

  async #all(): Promise<ExpressSessionData[]> {
    const sessions: ExpressSessionData[] = [];
    for await (const { data, expiry } of this.#rows()) {
      const session = parseSession(data, expiry);
      if (session !== undefined) sessions.push(session);
    }
    return sessions;
  }

  async #length(): Promise<number> {
    return this.#extras.count?.() ?? (await this.#all()).length;
  }

  async #clear(): Promise<void> {
    let keys: string[] = [];
    const end = async (): Promise<void> => {
      await Promise.all(keys.map((key) => this.#store.end(key)));
      keys = [];
    };
    for await (const { id } of this.#rows()) {
      if (keys.push(id) === CLEARED_AT_ONCE) await end();
    }
    await end();
  }

  async *#ofUser(operation: string, userId: string): AsyncGenerator<{ key: string; expiry: Date }> {
    assertUserId(operation, userId);
    const userOf = this.#userOf;
    if (userOf === undefined) throw new TypeError(`userOf: is needed for ${operation}, to say whose a session is`);
    for await (const { id: key, data, expiry } of this.#rows()) {
      const session = parseSession(data, expiry);
      const user: unknown = session && userOf(session);
      if ((typeof user === "string" || typeof user === "number") && String(user) === userId) yield { key, expiry };
    }
  }

  #idOf(key: string): string {
    return this.#isHashed ? key : sha256(key);
  }

  #rows(): AsyncIterable<StoredEntry> {
    if (this.#extras.all === undefined) throw new TypeError("store: can't list its sessions, it has no function all");
    return this.#extras.all();
  }

  async #prune(): Promise<void> {
    await this.#extras.deleteExpired?.();
  }

  #now(): number | Promise<number> {
    return this.#extras.now?.() ?? systemNow();
  }

  #expiryOf(session: ExpressSessionData): Promise<Date> {
    return expiryOf(session, () => this.#now(), this.#ttl);
  }

  /** Takes note of a session that was live a moment ago. */
  #remember(key: string, expiry: Date): void {
    this.#seen.delete(key);
    this.#seen.set(key, expiry.getTime());
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= MAX_SEEN) break;
      this.#seen.delete(oldest);
    }
  }
}

/**
 * Calls back from outside of the promise: what the callback throws is the application's own, and no reason to call it again.
 * Without a callback the promise may be dropped, as express-session drops that of `req.session.destroy()`: its failure must
 * not end the process then.
 */
function answer<T>(promise: Promise<T>, callback: Callback<T> | undefined): Promise<T> | void {
  if (callback === undefined) {
    promise.catch(() => {});
    return promise;
  }
  promise.then(
    (result) => process.nextTick(callback, null, result),
    (error: unknown) => process.nextTick(callback, error),
  );
}

/** Whether there can be a session of this id. */
function isSid(sid: unknown): sid is string {
  return typeof sid === "string" && sid !== "" && sid.isWellFormed() && Buffer.byteLength(sid) <= MAX_SID_BYTES;
}

function assertSid(sid: unknown): string {
  if (!isSid(sid)) throw new TypeError(`sid: must be a well-formed string of 1 to ${MAX_SID_BYTES} bytes`);
  return sid;
}

function publishGone(sid: string): void {
  publish("gone", { id: sha256(sid) });
}
