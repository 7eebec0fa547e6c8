import type { WriteOutcome } from "../../core/store.ts";
import { type Row, textOf } from "../drivers/driver.ts";
import { prepared, type Statement } from "./fragments.ts";

/**
 * The treatment of an operation whose answer was lost with the connection.
 *
 * - `repeat`: running it twice has the same effect as once
 * - `repeat and look`: it needs the previous bytes, so it can't run twice. The table shows whether it ran
 * - `look`: a repetition could bring an ended session back. The table shows whether it ran
 * - `fail`: a repetition could undo later writes
 */
export type WhenLost = "repeat" | "repeat and look" | "look" | "fail";

/** An operation of the store. */
export interface Operation {
  /** Its parameters in order, the row's id first. The written row has the id `new_token`, if that is a parameter. */
  readonly columns: readonly string[];
  /** Many rows share a statement, with an array for each parameter. Otherwise each row has its own statement. */
  readonly isShared: boolean;
  readonly statement: Statement;
  /** Variant that also records when the session was last seen. */
  readonly noting?: Statement;
  readonly whenLost: WhenLost;
  /** The store's method, as its name in events. Default: its key in `Operations`. */
  readonly event?: string;
  /** The figure of the store's history that it adds to. */
  readonly counts?: "created" | "ended";
}

/** A look-up. `statement` and `large` answer with one row, whose texts `readFound` reads (sql/text-format.ts). */
export interface Find extends Operation {
  /** Reads rows whose data `statement` left out: as many as fit into one answer, at least one. */
  readonly large: Statement;
  /** Reads a single row without an array and a join, which saves a tenth of the time. */
  readonly single: Statement;
}

/** Makes a shared operation. @param text - makes the statement from the SQL of its rows */
export function shared(columns: readonly string[], whenLost: WhenLost, text: (rows: string) => string): Operation {
  return { columns, isShared: true, statement: prepared(text(rowsOf(columns))), whenLost };
}

/** Returns SQL of the rows of a shared statement. */
function rowsOf(columns: readonly string[]): string {
  const arrays = columns.map((_, index) => `pg_catalog.unnest($${index + 1}::text[])`);
  return `ROWS FROM (${arrays.join(", ")}) AS v(${columns.join(", ")})`;
}

/**
 * Reads the outcome of a write from its row, if it returned one.
 *
 * @param behind - whether sessions are behind the fence, if the statement has seen it
 */
export function outcomeOf(row: Row | undefined, behind?: ReadonlyMap<string, boolean>): WriteOutcome {
  if (row?.["crossed"] === "true") return "revoked";
  if (row === undefined || row["done"] === "false" || behind?.get(textOf(row, "token")) === true) return false;
  return row["few"] === "true" ? "few" : true;
}
