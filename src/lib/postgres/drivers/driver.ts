import { StoreUnavailableError } from "../../core/errors.ts";

/**
 * The smallest database client that pgstore accepts: it runs one parameterised statement.
 *
 * `pg.Pool`, `pg.Client` and `PGlite` fit without a wrapper. Parameters are strings, null, or arrays of strings.
 */
export interface PgClient {
  // Rows are read by column name. Each selected column is text or null.
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** The members of the `sql` function of postgres.js that pgstore uses. */
export interface PostgresSql {
  // Called with text. The type in postgres.js allows more parameters.
  unsafe(
    query: string,
    parameters?: never[],
    options?: { prepare?: boolean; onexecute?: () => boolean },
  ): PromiseLike<unknown>;
  // Marks a parameter with its type.
  typed(value: never, type: number): unknown;
  readonly options: { readonly prepare: boolean; readonly fetch_types?: boolean };
}

/** The members of a `Bun.SQL` that pgstore uses. */
export interface BunSql {
  unsafe(query: string, values?: unknown[]): PromiseLike<unknown>;
  reserve(): PromiseLike<unknown>;
  flush(): void;
  readonly options: { readonly max?: number | undefined };
}

/** A client of the database. */
export type DatabaseClient = PgClient | PostgresSql | BunSql;

/** A row of a result: each selected column is text or null. */
export type Row = Record<string, string | null>;

/** Runs a statement that may be repeated. `timeout` is in milliseconds and defaults to the store's. */
export type Query = (text: string, values?: string[], timeout?: number) => Promise<Row[]>;

/** Returns the text of a column, or "" when it is null or there is no row. */
export function textOf(row: Row | undefined, column: string): string {
  return row?.[column] ?? "";
}

/** The parameters of a statement at the moment of sending. */
export interface Load {
  /** Text, or null. */
  values: unknown[];
  /** Moment at which some of them are too old to be sent, by the monotonic clock in milliseconds. */
  until: number;
}

/** A statement on its way to the database. */
export interface Errand {
  text: string;
  /** Name of the prepared statement. Undefined: sent unprepared. */
  name?: string | undefined;
  /**
   * Returns the parameters. Drivers call it as late as they can: an operation that has failed meanwhile must not be carried
   * out.
   *
   * @returns undefined when all operations have failed, so that the statement must not be sent
   */
  load(): Load | undefined;
}

/** Makes the `load` of a statement that may be sent until a moment of the monotonic clock. */
export function loadUntil(values: unknown[], until: number): Errand["load"] {
  return () => (performance.now() < until ? { values, until } : undefined);
}

/** Runs statements on a client. */
export interface Driver {
  /** Whether the client supports prepared statements. */
  prepares: boolean;
  /**
   * Whether an operation leaves in its own call when nothing is under way, not at the end of the turn. Default: false.
   */
  leavesAtOnce?: boolean;
  /**
   * Runs a statement. It settles within `timeout` milliseconds. An overdue statement's connection is closed, if the
   * client supports that.
   *
   * @throws NotSentError when the statement was certainly not sent
   * @throws StoreUnavailableError when it became too old to be sent
   */
  run(errand: Errand, timeout: number): Promise<Row[]>;
}

/** Share of its time that an operation needs to be sent. With less, it could be carried out after it was reported as failed. */
const MIN_SHARE_LEFT = 0.02;

/**
 * Returns the last moment at which an operation may be sent.
 *
 * @param since - its start by the monotonic clock, in milliseconds
 * @param timeout - its time limit in milliseconds
 */
export function lastDeparture(since: number, timeout: number): number {
  return since + timeout * (1 - MIN_SHARE_LEFT);
}

/** Creates the error of an operation that took too long. @param timeout - its time limit in milliseconds */
export function tooLate(timeout: number): StoreUnavailableError {
  return new StoreUnavailableError(`the database did not answer within ${timeout} ms`);
}
