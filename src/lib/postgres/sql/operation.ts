import { prepared, type Statement } from "./fragments.ts";

/**
 * What becomes of an operation whose answer was lost with the connection.
 * - `repeat`: done twice is as good as done once
 * - `repeat and look`: it can't be done twice, as it needs the bytes from before; whether it was, the table tells
 * - `look`: done again it could bring back what others have ended since; the table tells whether it was done
 * - `fail`: done again it could undo what others have written since
 */
export type WhenLost = "repeat" | "repeat and look" | "look" | "fail";

/** An operation of the store. */
export interface Operation {
  /** Its parameters, in their order. The row's id comes first; the row that is written has the id `new_token`, if there is one. */
  readonly columns: readonly string[];
  /** Many rows share a statement, of which each parameter is an array. Otherwise each row has a statement to itself. */
  readonly isShared: boolean;
  readonly statement: Statement;
  /** Also notes when the session was seen, where there is a column for that. */
  readonly noting?: Statement;
  readonly whenLost: WhenLost;
  /** What events call it: the store's method. Default: its name here. */
  readonly event?: string;
  /** What the store's history counts of it. */
  readonly counts?: "created" | "ended";
}

/** A look-up. */
export interface Find extends Operation {
  /** Reads rows whose data `statement` has left out: as many as fit into one answer, at least one. */
  readonly large: Statement;
  /** For an id that is alone: no array to unpack and no join, which is a tenth of the time that it takes. */
  readonly single: Statement;
}

/** What is the same of all shared operations. */
export type SharedOperation = Pick<Operation, "columns" | "isShared" | "statement" | "noting">;

/** @param text - makes the statement of the SQL of its rows */
export function shared(columns: readonly string[], text: (rows: string) => string): SharedOperation {
  return { columns, isShared: true, statement: prepared(text(rowsOf(columns))) };
}

/** SQL of the rows of a shared statement. */
export function rowsOf(columns: readonly string[]): string {
  const arrays = columns.map((_, index) => `pg_catalog.unnest($${index + 1}::text[])`);
  return `ROWS FROM (${arrays.join(", ")}) AS v(${columns.join(", ")})`;
}
