import { monotonicNow } from "../../core/time.ts";

/**
 * What pgstore asks of a database driver: one parameterised statement, with text parameters and text results.
 *
 * `pg.Pool`, `pg.Client` and `PGlite` are such objects as they are. Parameters are strings, null, or arrays of strings.
 */
export interface PgClient {
  // The result's rows are read by column name; each column that we select is text or null.
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** What pgstore asks of postgres.js: the function that `postgres(url)` returns. */
export interface PostgresSql {
  // Called with text; its own type knows more kinds of parameters.
  unsafe(
    query: string,
    parameters?: never[],
    options?: { prepare?: boolean; onexecute?: () => boolean },
  ): PromiseLike<unknown>;
  // Marks a parameter with its type.
  typed(value: never, type: number): unknown;
  readonly options: { readonly prepare: boolean };
}

/** A row of a result: every column that we select is text or null. */
export type Row = Record<string, string | null>;

/** Runs a statement that may be repeated. `timeout`: milliseconds, if it may take longer than others. */
export type Query = (text: string, values?: string[], timeout?: number) => Promise<Row[]>;

/** What a column holds; nothing where it is null, or there is no such row. */
export function textOf(row: Row | undefined, column: string): string {
  return row?.[column] ?? "";
}

/** The parameters of a statement, of the moment at which they were asked for. */
export interface Load {
  /** Text, or null. */
  values: unknown[];
  /** When some of it gets too old to be sent, by the monotonic clock in milliseconds. */
  until: number;
}

/** A statement on its way to the database. */
export interface Errand {
  text: string;
  /** What the server may keep it prepared under. */
  name?: string | undefined;
  /**
   * Tells the parameters. Drivers ask as late as they can, as what has failed meanwhile must not be carried out.
   *
   * @returns undefined when nobody waits for it any more: it must not be sent
   */
  load(): Load | undefined;
}

/** The parameters of a statement that may be sent until some moment. */
export function loadUntil(values: unknown[], until: number): Errand["load"] {
  return () => (monotonicNow() < until ? { values, until } : undefined);
}

/** Runs statements on whatever client the user has. */
export interface Driver {
  /** Whether it can keep statements prepared on the server. */
  prepares: boolean;
  /**
   * @param timeout - milliseconds after which a client that can do so gives up, and its connection with it
   * @throws NotSentError when it certainly was not sent; StoreUnavailableError when it has got too old for that
   */
  run(errand: Errand, timeout: number): Promise<Row[]>;
}
