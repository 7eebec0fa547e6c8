import { type Query, type Row, textOf } from "../drivers/driver.ts";
import { INDEX_STATS, TABLE_STATS } from "../sql/operator.ts";

/** PostgreSQL's statistics of a table, which are known without reading it. */
export interface TableStats {
  /** Rows as of the last vacuum or analyze. -1: there was none yet. */
  rows: number;
  /** Partitions that hold the rows. 1: it is not partitioned. */
  parts: number;
  /** Size of the table without indexes and TOAST. */
  bytes: number;
  /** Average bytes of a row's columns. 0: not analysed. */
  rowWidth: number;
  fillfactor: number;
  dead: number;
  /** Dead rows at which autovacuum starts. */
  threshold: number;
  isAutovacuumOn: boolean;
  /** Undefined: none is on record. */
  sinceVacuumMs: number | undefined;
  /** Transactions since the oldest row that is not frozen. */
  age: number;
  freezeMaxAge: number;
  /** Age of the oldest open transaction, which keeps dead rows from being removed. 0 without such a transaction. */
  oldestTransactionMs: number;
  indexes: IndexStats[];
}

export interface IndexStats {
  name: string;
  bytes: number;
  /** -1: unknown. */
  rows: number;
  /** Average bytes of its columns. 0: not analysed. */
  width: number;
  columns: string;
}

/** Reads the statistics. @param table - quoted @returns undefined when there is no such table */
export async function readTableStats(query: Query, table: string): Promise<TableStats | undefined> {
  const [row] = await query(TABLE_STATS, [table]);
  if (row?.["rows"] == null) return undefined;
  const indexes = await query(INDEX_STATS, [table]);
  const number = (column: string): number => Number(textOf(row, column));
  return {
    rows: number("rows"),
    parts: number("parts"),
    bytes: number("bytes"),
    rowWidth: number("width"),
    fillfactor: number("fillfactor"),
    dead: number("dead"),
    threshold: number("threshold"),
    isAutovacuumOn: row["autovacuum"] === "true",
    sinceVacuumMs: row["vacuumed"] == null ? undefined : number("vacuumed"),
    age: number("age"),
    freezeMaxAge: number("freeze"),
    oldestTransactionMs: number("oldest"),
    indexes: indexes.map(readIndex),
  };
}

function readIndex(row: Row): IndexStats {
  return {
    name: textOf(row, "name"),
    bytes: Number(row["bytes"]),
    rows: Number(row["rows"]),
    width: Number(row["width"]),
    columns: textOf(row, "columns"),
  };
}
