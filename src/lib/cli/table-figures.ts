import { type Row, textOf } from "../postgres/driver.ts";
import type { Connection } from "./connection.ts";

/** What PostgreSQL knows of the table, without reading it. */
export interface TableFigures {
  /** Rows, as of the last vacuum or analyze; -1: there was none yet. */
  rows: number;
  /** Of the table without indexes and TOAST. */
  bytes: number;
  /** Of a row's columns, on average; 0: not analysed. */
  rowWidth: number;
  fillfactor: number;
  dead: number;
  /** Dead rows from which on autovacuum comes. */
  threshold: number;
  isAutovacuumOn: boolean;
  /** Milliseconds since the last vacuum; undefined: there was none, or nobody remembers. */
  sinceVacuum: number | undefined;
  /** Transactions since the oldest row that is not frozen. */
  age: number;
  freezeMaxAge: number;
  /** Milliseconds that the oldest transaction is open which keeps dead rows from being removed. */
  oldestTransaction: number;
  indexes: IndexFigures[];
}

export interface IndexFigures {
  name: string;
  isValid: boolean;
  bytes: number;
  /** -1: not known. */
  rows: number;
  /** Of its columns, on average; 0: not analysed. */
  width: number;
  columns: string;
}

/** A setting of the server, which a table may have of its own. */
const setting = (name: string): string =>
  `COALESCE((SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = '${name}'), current_setting('${name}'))`;
const OF_TABLE = `
  SELECT c.reltuples::float8::text AS rows, pg_relation_size(c.oid)::text AS bytes,
    (SELECT COALESCE(sum(w.avg_width * (1 - w.null_frac)), 0)::float8::text FROM pg_stats w
      WHERE w.schemaname = n.nspname AND w.tablename = c.relname) AS width,
    COALESCE((SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'), '100') AS fillfactor,
    COALESCE(s.n_dead_tup, 0)::text AS dead,
    (${setting("autovacuum_vacuum_threshold")}::float8
      + ${setting("autovacuum_vacuum_scale_factor")}::float8 * greatest(c.reltuples, 0))::text AS threshold,
    (current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AND
      COALESCE((SELECT option_value::boolean FROM pg_options_to_table(c.reloptions)
        WHERE option_name = 'autovacuum_enabled'), true))::text AS autovacuum,
    (extract(epoch from clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum)) * 1000)::text AS vacuumed,
    age(c.relfrozenxid)::text AS age, current_setting('autovacuum_freeze_max_age') AS freeze,
    (SELECT COALESCE(max(extract(epoch from clock_timestamp() - a.xact_start)) * 1000, 0)::text FROM pg_stat_activity a
      WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
        AND a.datname = current_database()) AS oldest
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
  WHERE c.oid = to_regclass($1::text)`;
const OF_INDEXES = `
  SELECT i.indexrelid::regclass::text AS name, i.indisvalid::text AS valid, x.reltuples::float8::text AS rows,
    pg_relation_size(i.indexrelid)::text AS bytes, string_agg(a.attname, ', ' ORDER BY k.n) AS columns,
    COALESCE(sum(w.avg_width), 0)::text AS width
  FROM pg_index i
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
  LEFT JOIN pg_stats w ON w.schemaname = n.nspname AND w.tablename = c.relname AND w.attname = a.attname
  WHERE i.indrelid = to_regclass($1::text)
  GROUP BY i.indexrelid, i.indisvalid, x.reltuples ORDER BY 1`;

/** @returns undefined when there is no such table */
export async function readFigures({ query, table }: Connection): Promise<TableFigures | undefined> {
  const [row] = await query(OF_TABLE, [table.quoted]);
  if (row === undefined) return undefined;
  const indexes = await query(OF_INDEXES, [table.quoted]);
  const number = (column: string): number => Number(textOf(row, column));
  return {
    rows: number("rows"),
    bytes: number("bytes"),
    rowWidth: number("width"),
    fillfactor: number("fillfactor"),
    dead: number("dead"),
    threshold: number("threshold"),
    isAutovacuumOn: row["autovacuum"] === "true",
    sinceVacuum: row["vacuumed"] == null ? undefined : number("vacuumed"),
    age: number("age"),
    freezeMaxAge: number("freeze"),
    oldestTransaction: number("oldest"),
    indexes: indexes.map(readIndex),
  };
}

function readIndex(row: Row): IndexFigures {
  return {
    name: textOf(row, "name"),
    isValid: row["valid"] === "true",
    bytes: Number(row["bytes"]),
    rows: Number(row["rows"]),
    width: Number(row["width"]),
    columns: textOf(row, "columns"),
  };
}
