import { RemoteClock } from "../base/clock.ts";
import { type Duration, parseDuration } from "../base/duration.ts";
import { StoreUnavailableError } from "../base/errors.ts";
import { repeat } from "../base/timer.ts";
import type { PgClient } from "../port/pg-client.ts";
import type { ConditionalStore, StoredEntry, StoredSession, StoreExtras } from "../port/store.ts";
import { withTimeout } from "./deadline.ts";
import { type Driver, driverOf, type Row } from "./driver.ts";
import { check, migrate, setupSql, type TableName, tableName } from "./schema.ts";
import { type Statements, statementsFor } from "./statements.ts";
import { sqlstateOf, toStoreError } from "./store-errors.ts";
import { assertToken, bytesText, instantText, readBytes, readInstant } from "./wire.ts";

/** Options of `PgStore`. Durations are milliseconds or a text such as `"5m"`. */
export interface PgStoreOptions {
  /** How often expired rows are removed, give or take a tenth. 0: never. Default `"5m"`. */
  cleanupInterval?: Duration;
  /** The table's name as it is, not quoted. Default `"sessions"`. */
  table?: string;
  /** The schema's name as it is, not quoted. Default: the connection's search path decides. */
  schema?: string;
  /** How long an operation may take. Default 5 s. */
  queryTimeout?: Duration;
  /** Gets the errors of the cleanup, which has no caller to throw to. Default: logs them. */
  onError?: (error: unknown) => void;
}

/** A database that the store has opened itself, and closes. */
export interface OwnDatabase {
  /** Where the sessions are, fit for a log: no password. */
  location: string;
  close: () => Promise<void>;
}

const OPTION_NAMES = ["cleanupInterval", "table", "schema", "queryTimeout", "onError"];
/** Rows read or removed in one statement. */
const PAGE = 1000;
/** Milliseconds after which the database is asked for its time again; clocks drift some 50 ppm, 15 ms in that time. */
const CLOCK_MAX_AGE = 5 * 60 * 1000;

/**
 * Sessions in a PostgreSQL table of the seed's three columns, on a connection pool (or client) that stays the caller's.
 *
 * What has expired by the database's clock is absent. Every operation is one statement with a time limit.
 *
 * Its methods throw StoreUnavailableError when the database can't be reached or doesn't answer in time, SchemaError when
 * the table is not as it should be, StoreError when the database refuses otherwise.
 */
export class PgStore implements ConditionalStore, StoreExtras {
  /** Where the sessions are, fit for a log; undefined when the database is the caller's. */
  readonly location: string | undefined;
  readonly #driver: Driver;
  readonly #table: TableName;
  readonly #sql: Statements;
  readonly #timeout: number;
  readonly #onError: (error: unknown) => void;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #clock = new RemoteClock(CLOCK_MAX_AGE);
  readonly #own: OwnDatabase | undefined;
  #asking: Promise<number> | undefined;
  #stop: () => void = () => {};
  #closing: Promise<void> | undefined;

  /**
   * @param db - a pg.Pool, pg.Client, PGlite, or an object with `query(text, values)`
   * @param own - for `openStore`
   * @throws TypeError when an option is wrong; it names the option
   */
  constructor(db: PgClient, options: PgStoreOptions = {}, own?: OwnDatabase) {
    for (const name of Object.keys(options)) {
      if (!OPTION_NAMES.includes(name)) throw new TypeError(`${name}: there is no such option`);
    }
    this.#own = own;
    this.location = own?.location;
    this.#driver = driverOf(db);
    this.#table = tableName(options.table ?? "sessions", options.schema);
    this.#sql = statementsFor(this.#table.quoted);
    this.#timeout = parseDuration("queryTimeout", options.queryTimeout ?? "5s");
    if (this.#timeout === 0) throw new TypeError("queryTimeout: must be more than 0");
    const { onError = logError } = options;
    if (typeof onError !== "function") throw new TypeError("onError: must be a function");
    this.#onError = onError;
    const interval = parseDuration("cleanupInterval", options.cleanupInterval ?? "5m");
    if (interval > 0) this.#stop = repeat(interval, () => this.#cleanup());
  }

  /** Resolves to the live row of a token; undefined when there is none or when it has expired by the database's clock. */
  async find(token: string): Promise<StoredSession | undefined> {
    const [row] = await this.#run(this.#sql.find, [assertToken(token)]);
    if (row === undefined) return undefined;
    this.#clock.observe(readInstant(row.now).getTime());
    return { data: readBytes(row.data), expiry: readInstant(row.expiry) };
  }

  /** Inserts the row or overwrites it: the last write wins. The seed's Save. */
  async save(token: string, data: Uint8Array, expiry: Date): Promise<void> {
    await this.#run(this.#sql.save, [assertToken(token), bytesText(data), instantText(expiry)]);
  }

  /** Removes the row; does nothing when there is none. Resolves to whether there was one. */
  async delete(token: string): Promise<boolean> {
    return this.#done(this.#sql.delete, [assertToken(token)]);
  }

  /** Inserts a row. Resolves to false, and changes nothing, when the token is taken, even by an expired row. */
  async create(token: string, data: Uint8Array, expiry: Date): Promise<boolean> {
    return this.#done(this.#sql.create, [assertToken(token), bytesText(data), instantText(expiry)]);
  }

  /** Overwrites a live row whose bytes are `previous`. Resolves to false when they are others, or it is gone or expired. */
  async replace(token: string, previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    const values = [assertToken(token), bytesText(previous), bytesText(data), instantText(expiry)];
    return this.#done(this.#sql.replace, values);
  }

  /** Ends a live row whose bytes are `previous` and inserts `newToken`, in one statement. False as in `replace`: nothing happened. */
  async renew(token: string, newToken: string, previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    const tokens = [assertToken(token), assertToken(newToken)];
    try {
      return await this.#done(this.#sql.renew, [...tokens, bytesText(previous), bytesText(data), instantText(expiry)]);
    } catch (error) {
      if (error instanceof Error && sqlstateOf(error.cause) === "23505") return false;
      throw error;
    }
  }

  /** Moves a live row's expiry forward, never back. Resolves to whether the row is live. */
  async touch(token: string, expiry: Date): Promise<boolean> {
    return this.#done(this.#sql.touch, [assertToken(token), instantText(expiry)]);
  }

  /** The database's time in milliseconds since 1970: known from the last `find`, or asked for. */
  now(): number | Promise<number> {
    return this.#clock.read() ?? (this.#asking ??= this.#ask().finally(() => (this.#asking = undefined)));
  }

  /** Lists the live rows by token, a page at a time: rows that come or go meanwhile may be missed. */
  async *all(): AsyncGenerator<StoredEntry, void, undefined> {
    let last = "";
    for (;;) {
      const rows = await this.#run(this.#sql.page, [last, String(PAGE)]);
      for (const { token, data, expiry } of rows) {
        last = token ?? "";
        yield { token: last, data: readBytes(data), expiry: readInstant(expiry) };
      }
      if (rows.length < PAGE) return;
    }
  }

  /** Removes the rows that have expired, a page at a time, the oldest first. Resolves to how many. */
  async deleteExpired(): Promise<number> {
    let removed = 0;
    for (;;) {
      const rows = await this.#run(this.#sql.expired, [String(PAGE)]);
      if (rows.length === 0) return removed;
      const gone = await this.#run(this.#sql.deleteExpired, [rows.map(({ token }) => token)]);
      removed += gone.length;
      if (rows.length < PAGE) return removed;
    }
  }

  /** Stops the periodic cleanup for good. Idempotent. */
  stopCleanup(): void {
    this.#stop();
  }

  /**
   * Stops the cleanup, refuses new operations and waits for those under way. Idempotent. A pool that was passed in stays
   * open, it is the caller's; what `openStore` opened is closed.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
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
    await migrate((text, values) => this.#run(text, values), this.#table);
  }

  /** Lists what is wrong with the table, each in a sentence that names it and says what to do. Empty: all is well. */
  check(): Promise<string[]> {
    return check((text, values) => this.#run(text, values), this.#table);
  }

  async #close(): Promise<void> {
    this.stopCleanup();
    await Promise.allSettled(this.#inFlight);
    await this.#own?.close();
  }

  async #cleanup(): Promise<void> {
    try {
      await this.deleteExpired();
    } catch (error) {
      if (this.#closing === undefined) this.#onError(error);
    }
  }

  async #ask(): Promise<number> {
    const [row] = await this.#run(this.#sql.now, []);
    const now = readInstant(row?.now ?? null).getTime();
    this.#clock.observe(now);
    return now;
  }

  async #done(text: string, values: unknown[]): Promise<boolean> {
    return (await this.#run(text, values)).length > 0;
  }

  async #run(text: string, values: unknown[]): Promise<Row[]> {
    if (this.#closing !== undefined) throw new StoreUnavailableError("the store is closed");
    const answer = withTimeout((async () => this.#driver(text, values, this.#timeout))(), this.#timeout);
    this.#inFlight.add(answer);
    try {
      return await answer;
    } catch (error) {
      const remedy = `Run store.migrate(), npx pgstore migrate, or: ${setupSql(this.#table)}`;
      throw toStoreError(error, this.#table.quoted, remedy);
    } finally {
      this.#inFlight.delete(answer);
    }
  }
}

function logError(error: unknown): void {
  console.error("pgstore: the cleanup of expired sessions failed:", error);
}
