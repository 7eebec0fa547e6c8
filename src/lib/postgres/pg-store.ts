import { atMost, MAX_DELAY_MS } from "../core/time.ts";
import { warn } from "../core/log.ts";
import { OptionReader, signalOf } from "../core/options.ts";
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
import type { DatabaseClient } from "./drivers/driver.ts";
import type { StoreOperations } from "../core/stats.ts";
import type { Input } from "./execution/dispatch.ts";
import { type CleanupOptions, CleanupTurns, cleanPeriodically, deleteExpired } from "./cleanup.ts";
import { driverOf, hostOf } from "./drivers/index.ts";
import { Endings } from "./end-sessions.ts";
import { Engine } from "./execution/database.ts";
import { History } from "./history.ts";
import { Operations } from "./stats.ts";
import {
  type CloseOptions,
  type Inside,
  type OwnDatabase,
  type PgStoreOptions,
  resolveStoreOptions,
} from "./options.ts";
import { type Layout, scsLayout } from "./sql/layout.ts";
import { listRows } from "./listing.ts";
import { migrate } from "./migrate.ts";
import type { WriteKind } from "./sql/operations.ts";
import type { TableName } from "./sql/table-name.ts";
import { UserSessions } from "./users.ts";
import { instantText } from "./sql/text-format.ts";

/**
 * Stores sessions in a PostgreSQL table with SCS's three columns, through a connection pool or client that the caller owns.
 *
 * Rows expire by the database's clock. An operation is sent at once when no other of its kind is under way. Operations that
 * arrive meanwhile share a statement. Each operation is atomic and has a time limit.
 *
 * Its methods throw StoreUnavailableError when the database can't be reached or doesn't answer in time,
 * StoreOverloadedError when too many operations are waiting, SchemaError when a table, column or privilege is missing, and
 * StoreError when the database refuses for another reason.
 *
 * @example
 * const store = new PgStore(new pg.Pool({ connectionTimeoutMillis: 5000 }));
 * await store.migrate();
 * const manager = new SessionManager(store);
 */
export class PgStore implements ConditionalStore, EndingStore, StoreExtras {
  /** Sessions by user. Undefined for a table of another layout. */
  readonly users: UserStore | undefined;
  /** Figures, history and searches for operators. Undefined for a table of another layout. */
  readonly operations: StoreOperations | undefined;
  /** The database that `openStore` opened, without its password. Undefined for a client that was passed in. */
  readonly location: string | undefined;
  /** Milliseconds that an operation may take. */
  readonly queryTimeout: number;
  readonly #table: TableName;
  readonly #layout: Layout;
  readonly #engine: Engine;
  readonly #endings: Endings;
  readonly #users: UserSessions | undefined;
  readonly #history: History | undefined;
  readonly #stopCleanup: () => Promise<void>;
  readonly #own: OwnDatabase | undefined;
  readonly #onError: (error: unknown) => void;
  #closing: Promise<void> | undefined;

  /**
   * Creates a store and starts its periodic cleanup. Sends nothing to the database yet.
   *
   * @param db - a pg.Pool, pg.Client, the `sql` of postgres.js, a PGlite, a Bun.SQL, the function of Neon's `neon()`, or an
   *   object with `query(text, values)`. The caller closes it
   * @param inside - internal
   * @throws TypeError when an option is wrong
   */
  constructor(db: DatabaseClient, options: PgStoreOptions = {}, inside: Inside = {}) {
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
    this.#endings = new Endings(this.#engine);
    const operations = new Operations(this.#engine, hostOf(db));
    if (inside.hasOperations === true) this.operations = operations;
    if (layout.users) {
      this.users = this.#users = new UserSessions(this.#engine, table, this.#endings);
      this.operations = operations;
      this.#history = new History(this.#engine, operations);
    }
    const turns = new CleanupTurns(`cleanup of ${table.quoted}`, (isLockHeld) => warnOfHeldUp(this, table, isLockHeld));
    const clean = async (signal: AbortSignal): Promise<void> => {
      await this.#cleanUp({ signal }, turns);
      await this.#history?.note();
    };
    this.#stopCleanup = cleanPeriodically(cleanupInterval, clean, onError);
  }

  /** Finds a live row. Resolves to undefined when the row is missing or has expired by the database's clock. */
  async find(id: string, options?: OperationOptions): Promise<StoredSession | undefined> {
    const found = await this.lookUp(id, options);
    return typeof found === "string" ? undefined : found;
  }

  /** Finds a live row, or the reason why its session was ended at most `endedGrace` ago. */
  lookUp(id: string, options?: OperationOptions): Promise<Found> {
    if (!isId(id)) return Promise.resolve(undefined);
    return this.#engine.operations.find(id, options && signalOf(options));
  }

  /** Inserts the row or overwrites it: the last write wins. SCS: `Save`. */
  async save(id: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<void> {
    await this.#engine.operations.write("save", this.#rowOf(id, data, expiry), signalOf(options));
  }

  /** Inserts the row or overwrites it. Resolves to false, with nothing changed, when its session was ended. */
  async upsert(id: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("upsert", this.#rowOf(id, data, expiry), signalOf(options));
  }

  /** Overwrites a live row, whatever it holds. Resolves to false, with nothing changed, when it is gone or expired. */
  async update(id: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("update", this.#rowOf(id, data, expiry), signalOf(options));
  }

  /**
   * Ends a session. Its row stays for a while, empty and expired, so that no late write brings the session back.
   *
   * @returns whether the session was live
   */
  async end(id: string, options?: OperationOptions): Promise<boolean> {
    return isId(id) && this.#write("end", [id], signalOf(options));
  }

  /**
   * Ends a session, even if it has been renewed under another id.
   *
   * @param userId - ends the session only if it belongs to this user
   * @returns the id under which the session was live, or undefined when it was not live
   */
  async terminate(id: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined> {
    if (!isId(id)) return undefined;
    // First the cheap way, batched and by the primary key: few sessions have been renewed meanwhile.
    if (why === "destroyed" && userId === undefined && (await this.end(id))) return id;
    const ending = this.#endings.terminate(id, why, userId);
    return userId === undefined || this.#users === undefined ? ending : this.#users.explained(ending);
  }

  /**
   * Ends every session that is live at the time of the call, page by page. Each page has its own statement and time limit.
   *
   * @param onEnded - called with the ids of each page. An error that it throws stops the run
   */
  async terminateAll(onEnded: (ids: string[]) => void): Promise<void> {
    await this.#endings.terminateAll(await this.now(), onEnded);
  }

  /** Resolves to the id under which a session is live after renewals, or to undefined when it is not live. */
  async follow(id: string): Promise<string | undefined> {
    return isId(id) ? this.#endings.follow(id) : undefined;
  }

  /** Records that the holder of a revoked session has logged in again as `newId`. Resolves to whether it was revoked. */
  async supersede(id: string, newId: string): Promise<boolean> {
    if (await this.#endings.supersede(assertId(id), assertId(newId))) return true;
    // A session behind the fence is over, but its row may still be live.
    if (this.#users === undefined || !(await this.#engine.behindFence([id])).get(id)) return false;
    await this.terminate(id, "revoked");
    return this.#endings.supersede(id, newId);
  }

  /** Removes a row if it exists. Resolves to whether it existed. */
  async delete(id: string, options?: OperationOptions): Promise<boolean> {
    return isId(id) && this.#write("delete", [id], signalOf(options));
  }

  /** Inserts a row. Resolves to false, with nothing changed, when the id is taken, even by an expired row. */
  async create(id: string, data: Uint8Array, expiry: Date, options?: WriteOptions): Promise<WriteOutcome> {
    const signal = signalOf(options, "owner");
    const row = this.#rowOf(id, data, expiry);
    const owner = options?.owner;
    return owner === undefined ? this.#write("create", row, signal) : this.#logins.create(row, owner, signal);
  }

  /** Overwrites a live row if its bytes equal `previous`. Otherwise resolves to false, with nothing changed. */
  async replace(
    id: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: OperationOptions,
  ): Promise<boolean> {
    const columns = [this.#layout.encode(previous), this.#layout.encode(data), instantText(expiry)];
    return this.#write("replace", [assertId(id), ...columns], signalOf(options));
  }

  /**
   * Ends a live row if its bytes equal `previous` and inserts `newId`, in one statement. Otherwise, or when `newId` is
   * taken, resolves to false, with nothing changed.
   */
  async renew(
    id: string,
    newId: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: WriteOptions,
  ): Promise<WriteOutcome> {
    const signal = signalOf(options, "owner");
    const owner = options?.owner;
    const { encode } = this.#layout;
    const row: Input = [assertId(id), assertId(newId), encode(previous), encode(data), instantText(expiry)];
    return owner === undefined ? this.#write("renew", row, signal) : this.#logins.renew(row, owner, signal);
  }

  /** Moves the expiry of a live row forward, never back. Resolves to whether it is live and holds the bytes `unchanged`, if given. */
  async touch(id: string, expiry: Date, options: TouchOptions & OperationOptions = {}): Promise<boolean> {
    const signal = signalOf(options, "unchanged");
    const { unchanged } = options;
    const columns = [instantText(expiry), unchanged === undefined ? "" : digest(unchanged)];
    return this.#write("touch", [assertId(id), ...columns], signal);
  }

  /** Sets the expiry of a live row, earlier or later. Resolves to whether the row is live. */
  async setExpiry(id: string, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("setExpiry", [assertId(id), instantText(expiry)], signalOf(options));
  }

  /** Returns the database's time in milliseconds since 1970, computed from a recent answer or asked for. */
  now(): number | Promise<number> {
    return this.#engine.now();
  }

  /**
   * Lists the live rows by id, page by page, in constant memory. Rows that are inserted or deleted meanwhile may be missed.
   *
   * @example
   * for await (const { id, expiry } of store.all()) console.log(id, expiry);
   */
  all(options: OperationOptions = {}): AsyncGenerator<StoredEntry, void, undefined> {
    return listRows(this.#engine.run, this.#engine.sql.all, this.#layout, signalOf(options));
  }

  /** Counts the live rows. */
  async count(): Promise<number> {
    const [row] = await this.#engine.run(this.#engine.sql.count);
    return Number(row?.["count"]);
  }

  /**
   * Removes expired rows page by page, oldest first, and records the run in the history. A session that is extended
   * meanwhile stays. Also finishes ends of a user's sessions that a dead process left half done.
   *
   * @returns the number of removed rows
   * @throws TypeError when an option is wrong
   */
  deleteExpired(options?: CleanupOptions): Promise<number> {
    return this.#cleanUp(options);
  }

  /** Stops the periodic cleanup for good. A run under way stops after its present statement. Idempotent. */
  stopCleanup(): void {
    void this.#stopCleanup();
  }

  /**
   * Stops the cleanup, refuses new operations and waits up to `timeout` for those under way. Idempotent. A pool that was
   * passed in stays open. A database that `openStore` opened is closed.
   *
   * @throws TypeError when an option is wrong
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
   * Creates the tables and indexes, or adds missing columns and indexes. Any number of processes may call it at once. It
   * takes no lock when nothing is missing. Otherwise it waits up to 5 s for each lock.
   *
   * @throws SchemaError when a table of that name has other columns. The table is left unchanged
   * @throws StoreUnavailableError when the database can't be reached or a lock was not free in time
   */
  async migrate(): Promise<void> {
    await migrate(this.#engine.run, this.#table);
    this.#engine.forget();
  }

  /**
   * Lists problems of the tables, their indexes and this role's privileges, each with a remedy. Changes nothing.
   *
   * @returns an empty list when nothing is wrong
   * @example
   * for (const problem of await store.check()) console.warn(problem);
   */
  async check(): Promise<string[]> {
    return (await findProblems(this.#engine.run, this.#table, this.#layout)).map(sentenceOf);
  }

  /**
   * Examines the tables, their rows and the server. Reports the problems of `check`, and bloat, dead rows, autovacuum
   * problems, expired rows that no cleanup removes, and clocks that differ. Changes nothing.
   *
   * @returns findings, including those with the severity `"ok"`
   * @throws TypeError when an option is wrong
   * @example
   * const findings = await store.diagnose();
   * const problems = findings.filter(({ severity }) => severity !== "ok");
   */
  diagnose(options?: DiagnoseOptions): Promise<Finding[]> {
    return diagnose(this.#engine.run, this.#table, this.#layout, options);
  }

  async #cleanUp(options?: CleanupOptions, turns?: CleanupTurns): Promise<number> {
    const begun = performance.now();
    const { run, sql } = this.#engine;
    const { removed, leads, isFenced } = await deleteExpired(run, sql.cleanUp, options, turns);
    if (leads || removed > 0) {
      await this.#history?.noteCleanup(removed, begun).catch((error: unknown) => {
        if (this.#closing === undefined) this.#onError(error);
      });
    }
    if (isFenced) await this.#users?.finishEnds(options?.signal);
    return removed;
  }

  async #write(kind: WriteKind, input: Input, signal?: AbortSignal): Promise<boolean> {
    return (await this.#engine.operations.write(kind, input, signal)) === true;
  }

  get #logins(): UserSessions {
    if (this.#users === undefined)
      throw new TypeError("owner: expected none, as this table has no columns for users: leave it out");
    return this.#users;
  }

  #rowOf(id: string, data: Uint8Array, expiry: Date): Input {
    return [assertId(id), this.#layout.encode(data), instantText(expiry)];
  }

  async #finish(): Promise<void> {
    this.#engine.refuse();
    await this.#stopCleanup();
    await this.#engine.idle();
    await this.#own?.close();
  }
}

function warnOfHeldUp(store: PgStore, { quoted }: TableName, isLockHeld: boolean): void {
  const why = isLockHeld
    ? "another session holds its advisory lock (see pg_locks, locktype 'advisory'), so it works without the lock"
    : "they are locked, or a trigger keeps them";
  const message = `Expired rows of table ${quoted} were not removed in several turns of the cleanup: ${why}.`;
  warn("PGSTORE_CLEANUP_HELD_UP", message, store);
}
