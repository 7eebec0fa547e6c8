/** A row of a result: every column that we select is text or null. */
export type Row = Record<string, string | null>;

/** What a column holds; nothing where it is null, or there is no such row. */
export function textOf(row: Row | undefined, column: string): string {
  return row?.[column] ?? "";
}

/** Runs statements on whatever client the user has. */
export interface Driver {
  /** Whether it can keep statements prepared on the server. */
  prepares: boolean;
  /**
   * @param values - text, or null
   * @param timeout - milliseconds after which a client that can do so gives up, and its connection with it
   */
  run(statement: { text: string; name?: string }, values: unknown[], timeout: number): Promise<Row[]>;
  /**
   * Does some work unless another process of the fleet is at it. A client that has no second connection to hold a lock
   * with just does it.
   *
   * @param name - what the work is called, the same in each process
   * @param timeout - milliseconds for a statement
   */
  leading(name: string, timeout: number, work: () => Promise<unknown>): Promise<void>;
}
