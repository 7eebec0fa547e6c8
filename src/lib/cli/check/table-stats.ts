import { EQ, leavesOf, MINUS, NE, PLUS, regclass, ROWS, TIMES } from "../../postgres/sql/catalog.ts";
import { type Row, textOf } from "../../postgres/drivers/driver.ts";
import type { Connection } from "../connection.ts";

/** What PostgreSQL knows of the table, without reading it. */
export interface TableFigures {
  /** Rows, as of the last vacuum or analyze; -1: there was none yet. */
  rows: number;
  /** Partitions that hold the rows; 1: it is not partitioned. */
  parts: number;
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
  bytes: number;
  /** -1: not known. */
  rows: number;
  /** Of its columns, on average; 0: not analysed. */
  width: number;
  columns: string;
}

/** A setting of the server, which a table may have of its own. */
const setting = (name: string, otherwise = `pg_catalog.current_setting('${name}')`): string =>
  `COALESCE((SELECT o.option_value FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name ${EQ} '${name}'), ${otherwise})`;
/** Summed up over the leaves of a table that is partitioned; the width of a row is about the same in each. */
const OF_TABLE = `
  SELECT ${ROWS} AS rows, pg_catalog.count(*)::text AS parts, pg_catalog.sum(pg_catalog.pg_relation_size(c.oid))::text AS bytes,
    pg_catalog.max((SELECT COALESCE(pg_catalog.sum(w.avg_width ${TIMES} (1 ${MINUS} w.null_frac)), 0)::float8 FROM pg_catalog.pg_stats w
      WHERE w.schemaname ${EQ} n.nspname AND w.tablename ${EQ} c.relname))::text AS width,
    pg_catalog.min(${setting("fillfactor", "'100'")}::float8)::text AS fillfactor,
    COALESCE(pg_catalog.sum(s.n_dead_tup), 0)::text AS dead,
    pg_catalog.sum(${setting("autovacuum_vacuum_threshold")}::float8
      ${PLUS} (${setting("autovacuum_vacuum_scale_factor")}::float8 ${TIMES} greatest(c.reltuples, 0)))::text AS threshold,
    (pg_catalog.current_setting('autovacuum')::boolean AND pg_catalog.current_setting('track_counts')::boolean AND
      pg_catalog.bool_and(${setting("autovacuum_enabled", "'true'")}::boolean))::text AS autovacuum,
    (extract(epoch from pg_catalog.clock_timestamp() ${MINUS} pg_catalog.min(greatest(s.last_vacuum, s.last_autovacuum))) ${TIMES} 1000)::text AS vacuumed,
    pg_catalog.max(pg_catalog.age(c.relfrozenxid))::text AS age, pg_catalog.current_setting('autovacuum_freeze_max_age') AS freeze,
    (SELECT COALESCE(pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() ${MINUS} a.xact_start)) ${TIMES} 1000, 0)::text
      FROM pg_catalog.pg_stat_activity a
      WHERE a.backend_xmin IS NOT NULL AND a.pid ${NE} pg_catalog.pg_backend_pid() AND a.backend_type ${EQ} 'client backend'
        AND a.datname ${EQ} pg_catalog.current_database()) AS oldest
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid ${EQ} c.oid
  WHERE c.oid ${EQ} ANY (ARRAY(${leavesOf(regclass("$1::text"))}))`;
const OF_INDEXES = `
  SELECT i.indexrelid::regclass::text AS name, x.rows AS rows, x.bytes::text AS bytes,
    pg_catalog.string_agg(a.attname::text, ', ' ORDER BY k.n) AS columns, COALESCE(pg_catalog.sum(w.width), 0)::text AS width
  FROM pg_catalog.pg_index i
  CROSS JOIN LATERAL (SELECT ${ROWS} AS rows, pg_catalog.sum(pg_catalog.pg_relation_size(c.oid)) AS bytes
    FROM pg_catalog.pg_class c WHERE c.oid ${EQ} ANY (ARRAY(${leavesOf("i.indexrelid")}))) x
  CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid ${EQ} i.indrelid AND a.attnum ${EQ} k.attnum
  CROSS JOIN LATERAL (SELECT pg_catalog.max(p.avg_width) AS width FROM pg_catalog.pg_stats p
    JOIN pg_catalog.pg_namespace n ON n.nspname ${EQ} p.schemaname
    JOIN pg_catalog.pg_class c ON c.relnamespace ${EQ} n.oid AND c.relname ${EQ} p.tablename
    WHERE p.attname ${EQ} a.attname AND c.oid ${EQ} ANY (ARRAY(${leavesOf("i.indrelid")}))) w
  WHERE i.indrelid ${EQ} ${regclass("$1::text")}
  GROUP BY i.indexrelid, x.rows, x.bytes ORDER BY 1`;

/** @returns undefined when there is no such table */
export async function readFigures({ query, table }: Connection): Promise<TableFigures | undefined> {
  const [row] = await query(OF_TABLE, [table.quoted]);
  if (row?.["rows"] == null) return undefined;
  const indexes = await query(OF_INDEXES, [table.quoted]);
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
    bytes: Number(row["bytes"]),
    rows: Number(row["rows"]),
    width: Number(row["width"]),
    columns: textOf(row, "columns"),
  };
}
