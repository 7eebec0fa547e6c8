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
