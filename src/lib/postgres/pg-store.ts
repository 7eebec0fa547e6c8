import { parseDuration } from "../base/duration.ts";
import { StoreUnavailableError } from "../base/errors.ts";
import { atMost, LONGEST_DELAY } from "../base/timer.ts";
import type { PgClient, PostgresSql } from "../port/pg-client.ts";
import type { ConditionalStore, EndingStore, Found, StoredEntry, StoredSession, StoreExtras } from "../port/store.ts";
import { Batches, type Input, type WriteKind } from "./batches.ts";
import { type CleanupOptions, deleteExpired } from "./cleanup.ts";
import type { Row } from "./driver.ts";
import { withTimeout } from "./deadline.ts";
import { DatabaseClock } from "./database-clock.ts";
import { driverOf } from "./driver-of.ts";
import { Executor } from "./executor.ts";
import { type Layout, seedLayout } from "./layout.ts";
import { listRows } from "./listing.ts";
import { PeriodicCleanup } from "./periodic-cleanup.ts";
import {
  type CloseOptions,
  type OperationOptions,
  type PgStoreOptions,
  resolveStoreOptions,
} from "./pg-store-options.ts";
import type { Inside, OwnDatabase } from "./inside.ts";
import { retrying } from "./retry.ts";
import { check, migrate, type TableName } from "./schema.ts";
import { type Statement, type Statements, statementsFor } from "./statements.ts";
import { assertToken, instantText, readInstant } from "./wire.ts";

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
  /** Where the sessions are, fit for a log; undefined when the database is the caller's. */
  readonly location: string | undefined;
  readonly #table: TableName;
  readonly #sql: Statements;
  readonly #timeout: number;
  readonly #executor: Executor;
  readonly #batches: Batches;
  readonly #cleanup: PeriodicCleanup;
  readonly #clock = new DatabaseClock(async () => {
    const [row] = await this.#run(this.#sql.now, []);
    return readInstant(row?.["now"]).getTime();
  });
  readonly #own: OwnDatabase | undefined;
  readonly #layout: Layout;
  #closing: Promise<void> | undefined;

  /**
   * @param db - a pg.Pool, pg.Client, the `sql` of postgres.js, a PGlite, or an object with `query(text, values)`
   * @param inside - for pgstore itself
   * @throws TypeError when an option is wrong; it names the option
   */
  constructor(db: PgClient | PostgresSql, options: PgStoreOptions = {}, inside: Inside = {}) {
    const { table, queryTimeout, batch, prepare, cleanupInterval, endedGrace, onError } = resolveStoreOptions(options);
    const { own, layout = seedLayout } = inside;
    this.#own = own;
    this.location = own?.location;
    this.#layout = layout;
    this.#table = table;
    this.#sql = statementsFor(table.quoted, layout, endedGrace);
    this.#timeout = queryTimeout;
    const driver = driverOf(db);
    this.#executor = new Executor(driver, queryTimeout, prepare, table, layout.setup(table));
    this.#batches = new Batches(this.#executor, this.#sql, layout, batch, queryTimeout, (now) =>
      this.#clock.observe(now),
    );
    const clean = (signal: AbortSignal): Promise<unknown> =>
      driver.leading(`cleanup of ${table.quoted}`, queryTimeout, () => this.deleteExpired({ signal }));
    this.#cleanup = new PeriodicCleanup(cleanupInterval, clean, onError);
  }

  /** Resolves to the live row of a token; undefined when there is none or when it has expired by the database's clock. */
  async find(token: string, options?: OperationOptions): Promise<StoredSession | undefined> {
    const found = await this.lookUp(token, options);
    return found === "ended" ? undefined : found;
  }

  /** As `find`, but resolves to "ended" when the session was ended, and not longer ago than `endedGrace`. */
  lookUp(token: string, options?: OperationOptions): Promise<Found> {
    // Not async, as each of its promises counts here.
    try {
      this.#assertOpen();
      return this.#batches.find(assertToken(token), options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Inserts the row or overwrites it: the last write wins. The seed's Save. */
  async save(token: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<void> {
    await this.#write("save", [assertToken(token), this.#layout.encode(data), instantText(expiry)], options);
  }

  /** Inserts the row or overwrites it, unless its session was ended. Resolves to whether it did. */
  async upsert(token: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("upsert", [assertToken(token), this.#layout.encode(data), instantText(expiry)], options);
  }

  /**
   * Ends a session: its row stays for a while, empty and expired, so that no late write brings it back. Resolves to
   * whether there was one to end.
   */
  async end(token: string, options?: OperationOptions): Promise<boolean> {
    return this.#write("end", [assertToken(token)], options);
  }

  /** Removes the row; does nothing when there is none. Resolves to whether there was one. */
  async delete(token: string, options?: OperationOptions): Promise<boolean> {
    return this.#write("delete", [assertToken(token)], options);
  }

  /** Inserts a row. Resolves to false, and changes nothing, when the token is taken, even by an expired row. */
  async create(token: string, data: Uint8Array, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("create", [assertToken(token), this.#layout.encode(data), instantText(expiry)], options);
  }

  /** Overwrites a live row whose bytes are `previous`. Resolves to false when they are others, or it is gone or expired. */
  async replace(
    token: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: OperationOptions,
  ): Promise<boolean> {
    const columns = [this.#layout.encode(previous), this.#layout.encode(data), instantText(expiry)];
    return this.#write("replace", [assertToken(token), ...columns], options);
  }

  /** Ends a live row whose bytes are `previous` and inserts `newToken`, in one statement. False as in `replace`: nothing happened. */
  async renew(
    token: string,
    newToken: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: OperationOptions,
  ): Promise<boolean> {
    const columns = [
      assertToken(newToken),
      this.#layout.encode(previous),
      this.#layout.encode(data),
      instantText(expiry),
    ];
    return this.#write("renew", [assertToken(token), ...columns], options);
  }

  /** Moves a live row's expiry forward, never back. Resolves to whether the row is live. */
  async touch(token: string, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("touch", [assertToken(token), instantText(expiry)], options);
  }

  /** Sets a live row's expiry, forward or back. Resolves to whether the row is live. */
  async setExpiry(token: string, expiry: Date, options?: OperationOptions): Promise<boolean> {
    return this.#write("setExpiry", [assertToken(token), instantText(expiry)], options);
  }

  /** The database's time in milliseconds since 1970: known from the last `find`, or asked for. */
  now(): number | Promise<number> {
    return this.#clock.now();
  }

  /**
   * Lists the live rows by token, a page at a time, in constant memory: rows that come or go meanwhile may be missed.
   * Leaving the loop ends it.
   */
  all(options: OperationOptions = {}): AsyncGenerator<StoredEntry, void, undefined> {
    return listRows(this.#run, this.#sql.page, this.#layout, options.signal);
  }

  /** Counts the live rows. */
  async count(): Promise<number> {
    const [row] = await this.#run(this.#sql.count, []);
    return Number(row?.["count"]);
  }

  /**
   * Removes the rows that have expired, a page at a time, the oldest first. A live session that is extended meanwhile
   * stays. Resolves to how many it has removed.
   */
  deleteExpired(options?: CleanupOptions): Promise<number> {
    return deleteExpired(this.#run, this.#sql, options);
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
    const timeout = parseDuration("timeout", options.timeout ?? LONGEST_DELAY);
    return atMost((this.#closing ??= this.#finish()), Math.min(timeout, LONGEST_DELAY));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Creates the table and its index if they are missing. Any number of processes may do so at once.
   *
   * @throws SchemaError when there is a table of that name whose columns are others; it is left as it is
   */
  async migrate(): Promise<void> {
    await migrate((text, values) => this.#run({ text }, values), this.#table);
  }

  /** Lists what is wrong with the table, each in a sentence that names it and says what to do. Empty: all is well. */
  check(): Promise<string[]> {
    return check((text, values) => this.#run({ text }, values), this.#table);
  }

  async #finish(): Promise<void> {
    await this.#cleanup.stop();
    await this.#batches.idle();
    await this.#executor.idle();
    await this.#own?.close();
  }

  #write(kind: WriteKind, input: Input, options: OperationOptions | undefined): Promise<boolean> {
    this.#assertOpen();
    return this.#batches.write(kind, input, options?.signal);
  }

  /** Runs a statement that may be repeated. */
  readonly #run = async (statement: Statement, values: unknown[]): Promise<Row[]> => {
    this.#assertOpen();
    try {
      const answer = retrying(this.#timeout, true, () => this.#executor.run(statement, values));
      return await withTimeout(answer, this.#timeout);
    } catch (error) {
      throw this.#executor.explain(error);
    }
  };

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new StoreUnavailableError("the store is closed");
  }
}
