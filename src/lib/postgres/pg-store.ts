import { atMost, MAX_DELAY_MS, monotonicNow } from "../core/time.ts";
import { OptionReader } from "../core/options.ts";
import { assertId, digest, isId } from "../core/token.ts";
import type {
  ConditionalStore,
  EndingStore,
  Found,
  OperationOptions,
  StoredEntry,
  StoredSession,
  StoreExtras,
  TouchOptions,
  UserStore,
  WriteOptions,
  WriteOutcome,
} from "../core/store.ts";
import { diagnose } from "./check/diagnose.ts";
import { findProblems, sentenceOf } from "./check/schema.ts";
import type { DiagnoseOptions, Finding } from "./check/finding.ts";
import type { PgClient, PostgresSql, Query } from "./drivers/driver.ts";
import type { StoreOperations } from "../core/stats.ts";
import type { Input } from "./execution/dispatch.ts";
import { type CleanupOptions, CleanupTurns, deleteExpired } from "./cleanup.ts";
import { driverOf } from "./drivers/index.ts";
import { Endings, endingStatements } from "./end-sessions.ts";
import { Engine } from "./execution/database.ts";
import { History, Operations } from "./stats.ts";
import {
  type CloseOptions,
  type Inside,
  type OwnDatabase,
  type PgStoreOptions,
  resolveStoreOptions,
} from "./options.ts";
import { type Layout, scsLayout } from "./sql/layout.ts";
import { listRows } from "./listing.ts";
import { operationStatements } from "./sql/stats.ts";
import { PeriodicCleanup } from "./periodic-cleanup.ts";
import { migrate } from "./migrate.ts";
import { outlivedRow } from "./sql/fragments.ts";
import type { WriteKind } from "./sql/operations.ts";
import type { TableName } from "./sql/table-name.ts";
import { UserSessions } from "./users.ts";
import { instantText } from "./sql/text-format.ts";

/**
 * Sessions in a PostgreSQL table of the seed's three columns, on a connection pool (or client) that stays the caller's.
 *
 * What has expired by the database's clock is absent. An operation leaves at once when no other of its kind is under way;
 * what comes meanwhile gathers and shares a statement. Each is atomic, and has a time limit.
 *
 * Its methods throw StoreUnavailableError when the database can't be reached or doesn't answer in time,
 * StoreOverloadedError when too many operations wait already, SchemaError when the table is not as it should be, StoreError
 * when the database refuses otherwise.
 */
export class PgStore implements ConditionalStore, EndingStore, StoreExtras {
  /** Sessions by user; undefined on a table of another layout. */
  readonly users: UserStore | undefined;
  /** For operators: figures, history, a search for users; undefined as `users`. */
  readonly operations: StoreOperations | undefined;
  /** Where the sessions are, fit for a log; undefined when the database is the caller's. */
  readonly location: string | undefined;
  /** Milliseconds that an operation may take. */
  readonly queryTimeout: number;
  readonly #table: TableName;
  readonly #layout: Layout;
  readonly #engine: Engine;
  readonly #endings: Endings;
  readonly #users: UserSessions | undefined;
  readonly #history: History | undefined;
  readonly #cleanup: PeriodicCleanup;
  readonly #own: OwnDatabase | undefined;
  readonly #onError: (error: unknown) => void;
  #closing: Promise<void> | undefined;

  /**
   * @param db - a pg.Pool, pg.Client, the `sql` of postgres.js, a PGlite, or an object with `query(text, values)`
   * @param inside - for pgstore itself
   * @throws TypeError when an option is wrong; it names the option
   */
  constructor(db: PgClient | PostgresSql, options: PgStoreOptions = {}, inside: Inside = {}) {
    const resolved = resolveStoreOptions(options);
    const { table, cleanupInterval, onError } = resolved;
    const { own, layout = scsLayout } = inside;
    this.queryTimeout = resolved.queryTimeout;
    this.#own = own;
    this.#onError = onError;
    this.location = own?.location;
    this.#table = table;
    this.#layout = layout;
    this.#engine = new Engine(driverOf(db), layout, resolved);
    this.#endings = new Endings(this.#engine.run, endingStatements(table, layout));
    const sql = operationStatements(table, layout, outlivedRow(layout, resolved.endedGrace));
    const operations = new Operations(this.#engine, sql);
    if (inside.hasOperations === true) this.operations = operations;
    if (layout.users) {
      this.users = this.#users = new UserSessions(this.#engine, table, this.#endings);
      this.operations = operations;
      this.#history = new History(this.#engine, sql, operations);
    }
    const turns = new CleanupTurns(`cleanup of ${table.quoted}`, (isLockHeld) => warnOfHeldUp(table, isLockHeld));
    const clean = async (signal: AbortSignal): Promise<void> => {
      await this.#cleanUp({ signal }, turns);
      await this.#history?.note();
    };
    this.#cleanup = new PeriodicCleanup(cleanupInterval, clean, onError);
  }

  /** Resolves to the live row of an id; undefined when there is none or when it has expired by the database's clock. */
  async find(id: string, options?: OperationOptions): Promise<StoredSession | undefined> {
    const found = await this.lookUp(id, options);
    return typeof found === "string" ? undefined : found;
  }

  /** As `find`, but resolves to the reason when the session was ended, and not longer ago than `endedGrace`. */
  lookUp(id: string, options?: OperationOptions): Promise<Found> {
    if (!isId(id)) return Promise.resolve(undefined);
    // Not async, as each of its promises counts here.
    try {
      return this.#engine.find(id, options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Inserts the row or overwrites it: the last write wins. The seed's Save. */
  async save(id: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<void> {
    await this.#engine.write("save", this.#rowOf(id, data, expiry), options?.signal);
  }

  /** Inserts the row or overwrites it, unless its session was ended. Resolves to whether it did. */
  async upsert(id: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("upsert", this.#rowOf(id, data, expiry), options?.signal);
  }

  /** Overwrites a live row, whatever it holds. Resolves to whether there was one. */
  async update(id: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("update", this.#rowOf(id, data, expiry), options?.signal);
  }

  /**
   * Ends a session: its row stays for a while, empty and expired, so that no late write brings it back. Resolves to
   * whether there was one to end.
   */
  async end(id: string, options?: OperationOptions): Promise<boolean> {
    return isId(id) && this.#write("end", [id], options?.signal);
  }

  /**
   * Ends a session, also when it goes on under another id by now.
   *
   * @param userId - ends it only if it is this user's
   * @returns the id under which it was live; undefined when none was
   */
  async terminate(id: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined> {
    if (!isId(id)) return undefined;
    // With others, and by the primary key alone: seldom has it been renewed meanwhile.
    if (why === "destroyed" && userId === undefined && (await this.end(id))) return id;
    const ending = this.#endings.terminate(id, why, userId);
    const ended = await (userId === undefined || this.#users === undefined ? ending : this.#users.explained(ending));
    if (ended !== undefined) this.#engine.countEnded(1);
    return ended;
  }

  /**
   * Ends every session, page by page, each in a statement and under a time of its own. When it has resolved, every session that
   * was live when it was called is over.
   *
   * @param onEnded - called with the ids of each page; what it throws stops it
   */
  async terminateAll(onEnded: (ids: string[]) => void): Promise<void> {
    await this.#endings.terminateAll(await this.now(), (ids) => {
      this.#engine.countEnded(ids.length);
      onEnded(ids);
    });
  }

  /** Resolves to the id under which a session is live by now; undefined when it is not. */
  async follow(id: string): Promise<string | undefined> {
    return isId(id) ? this.#endings.follow(id) : undefined;
  }

  /** Notes that the holder of a revoked session has logged in anew under `newId`. Resolves to whether it was a revoked one. */
  async supersede(id: string, newId: string): Promise<boolean> {
    if (await this.#endings.supersede(assertId(id), assertId(newId))) return true;
    // Behind the fence its row is still to be ended.
    if (this.#users === undefined || !(await this.#engine.behindFence([id])).get(id)) return false;
    await this.terminate(id, "revoked");
    return this.#endings.supersede(id, newId);
  }

  /** Removes the row; does nothing when there is none. Resolves to whether there was one. */
  async delete(id: string, options?: OperationOptions): Promise<boolean> {
    return isId(id) && this.#write("delete", [id], options?.signal);
  }

  /** Inserts a row. Resolves to false, and changes nothing, when the id is taken, even by an expired row. */
  async create(
    id: string,
    data: Uint8Array,
    expiry: Date,
    { owner, signal }: WriteOptions = {},
  ): Promise<WriteOutcome> {
    const row = this.#rowOf(id, data, expiry);
    return owner === undefined ? this.#write("create", row, signal) : this.#logins.create(row, owner, signal);
  }

  /** Overwrites a live row whose bytes are `previous`. Resolves to false when they are others, or it is gone or expired. */
  async replace(
    id: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: OperationOptions,
  ): Promise<boolean> {
    const columns = [this.#layout.encode(previous), this.#layout.encode(data), instantText(expiry)];
    return this.#write("replace", [assertId(id), ...columns], options?.signal);
  }

  /** Ends a live row whose bytes are `previous` and inserts `newId`, in one statement. False as in `replace`: nothing happened. */
  async renew(
    id: string,
    newId: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    { owner, signal }: WriteOptions = {},
  ): Promise<WriteOutcome> {
    const { encode } = this.#layout;
    const row: Input = [assertId(id), assertId(newId), encode(previous), encode(data), instantText(expiry)];
    return owner === undefined ? this.#write("renew", row, signal) : this.#logins.renew(row, owner, signal);
  }

  /** Moves a live row's expiry forward, never back. Resolves to whether the row is live, and holds the bytes `unchanged` if they are given. */
  async touch(id: string, expiry: Date, options: TouchOptions & OperationOptions = {}): Promise<boolean> {
    const { unchanged, signal } = options;
    const columns = [instantText(expiry), unchanged === undefined ? "" : digest(unchanged)];
    return this.#write("touch", [assertId(id), ...columns], signal);
  }

  /** Sets a live row's expiry, forward or back. Resolves to whether the row is live. */
  async setExpiry(id: string, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("setExpiry", [assertId(id), instantText(expiry)], options?.signal);
  }

  /** The database's time in milliseconds since 1970: known from the last `find`, or asked for. */
  now(): number | Promise<number> {
    return this.#engine.now();
  }

  /**
   * Lists the live rows by id, a page at a time, in constant memory: rows that come or go meanwhile may be missed.
   * Leaving the loop ends it.
   */
  all(options: OperationOptions = {}): AsyncGenerator<StoredEntry, void, undefined> {
    return listRows(this.#engine.run, this.#engine.sql.page, this.#layout, options.signal);
  }

  /** Counts the live rows. */
  async count(): Promise<number> {
    const [row] = await this.#engine.run(this.#engine.sql.count, []);
    return Number(row?.["count"]);
  }

  /**
   * Removes the rows that have expired, a page at a time, the oldest first, and writes it down in the history. A live session
   * that is extended meanwhile stays. Goes on with ends of a user's sessions whose process has died. Resolves to how many rows it has removed.
   */
  deleteExpired(options?: CleanupOptions): Promise<number> {
    return this.#cleanUp(options);
  }

  /** Stops the periodic cleanup for good, one under way after its present statement. Idempotent. */
  stopCleanup(): void {
    void this.#cleanup.stop();
  }

  /**
   * Stops the cleanup, refuses new operations and waits for those under way, for as long as this call's `timeout` says.
   * Idempotent. A pool that was passed in stays open, it is the caller's; what `openStore` opened is closed.
   */
  close(options: CloseOptions = {}): Promise<void> {
    const read = new OptionReader(options);
    const timeout = read.duration("timeout", MAX_DELAY_MS);
    read.end();
    return atMost((this.#closing ??= this.#finish()), Math.min(timeout, MAX_DELAY_MS));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Creates the tables and indexes, or adds what they lack. Any number of processes may call it at once, under any default
   * isolation. Where nothing is missing it takes no lock; otherwise it waits 5 s for each at most.
   *
   * @throws SchemaError when there is a table of that name whose columns are others; it is left as it is
   * @throws StoreUnavailableError when the database can't be reached, or a lock was not free in time
   */
  async migrate(): Promise<void> {
    await migrate(this.#query, this.#table);
    this.#engine.forget();
  }

  /**
   * Lists the problems of the tables, their indexes and this role's privileges, each in a sentence that ends with a remedy. Changes
   * nothing.
   *
   * @returns an empty list when nothing is wrong
   * @example
   * for (const problem of await store.check()) console.warn(problem);
   */
  async check(): Promise<string[]> {
    return (await findProblems(this.#query, this.#table, this.#layout)).map(sentenceOf);
  }

  /**
   * Examines the tables, the rows in them and the server. Finds all that `check` lists, and bloat, dead rows, trouble with autovacuum,
   * expired rows that no cleanup removes, and clocks that differ. Changes nothing.
   *
   * @returns findings, including those with the severity `"ok"`
   * @throws TypeError when an option is wrong
   * @example
   * const findings = await store.diagnose();
   * const problems = findings.filter(({ severity }) => severity !== "ok");
   */
  diagnose(options?: DiagnoseOptions): Promise<Finding[]> {
    return diagnose(this.#query, this.#table, this.#layout, options);
  }

  async #cleanUp(options?: CleanupOptions, turns?: CleanupTurns): Promise<number> {
    const begun = monotonicNow();
    const { removed, leads, isFenced } = await deleteExpired(this.#engine.run, this.#engine.sql, options, turns);
    if (leads || removed > 0) {
      await this.#history?.noteCleanup(removed, begun).catch((error: unknown) => {
        if (this.#closing === undefined) this.#onError(error);
      });
    }
    if (isFenced) await this.#users?.finishEnds(options?.signal);
    return removed;
  }

  readonly #query: Query = (text, values = [], timeout) => this.#engine.run({ text }, values, timeout);

  async #write(kind: WriteKind, input: Input, signal?: AbortSignal): Promise<boolean> {
    return (await this.#engine.write(kind, input, signal)) === true;
  }

  get #logins(): UserSessions {
    if (this.#users === undefined) throw new TypeError("owner: this table keeps no sessions by user");
    return this.#users;
  }

  #rowOf(id: string, data: Uint8Array, expiry: Date): Input {
    return [assertId(id), this.#layout.encode(data), instantText(expiry)];
  }

  async #finish(): Promise<void> {
    this.#engine.refuse();
    await this.#cleanup.stop();
    await this.#engine.idle();
    await this.#own?.close();
  }
}

const tablesHeldUp = new Set<string>();

function warnOfHeldUp({ quoted }: TableName, isLockHeld: boolean): void {
  if (tablesHeldUp.has(quoted)) return;
  tablesHeldUp.add(quoted);
  const why = isLockHeld
    ? "another session holds its advisory lock (select locktype = 'advisory' from pg_locks), so it goes on without"
    : "they are locked, or a trigger keeps them";
  process.emitWarning(`Expired rows of table ${quoted} were not removed in several turns of the cleanup: ${why}.`, {
    type: "PgStoreWarning",
    code: "PGSTORE_CLEANUP_HELD_UP",
  });
}
