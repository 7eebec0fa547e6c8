import { EQ, GT, LE, leavesOf, MINUS, NE, OVER, PLUS, regclass, ROWS, TIMES } from "./catalog.ts";
import type { Layout } from "./layout.ts";
import { isFence, millisecondsOf, outlivedRow } from "./fragments.ts";
import type { TableName } from "./table-name.ts";

// The SQL of `store.diagnose()` and of the command line. Operators run it seldom, so nothing is kept prepared. As everywhere,
// parameters and results are text.

/** Time limit of statements that read a whole table, or a page of large rows. */
export const MAX_SCAN_MS = 24 * 3600 * 1000;

export const PING = "SELECT 1::text AS one";

/** Columns of tables, and what this role may do with them. */
export const SCHEMA_COLUMNS = `
  SELECT t.n::text AS n, a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    a.attnotnull::text AS required, (a.atthasdef OR a.attidentity ${NE} '' OR a.attgenerated ${NE} '')::text AS filled,
    (EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid ${EQ} a.attrelid AND i.indisunique AND i.indisvalid
      AND i.indpred IS NULL AND i.indnkeyatts ${EQ} 1 AND i.indkey[0] ${EQ} a.attnum))::text AS unique,
    (EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid ${EQ} a.attrelid AND i.indisvalid
      AND (i.indpred IS NULL OR a.attname ${NE} 'expiry') AND i.indkey[0] ${EQ} a.attnum))::text AS indexed,
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')::text AS "select",
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT')::text AS "insert",
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE')::text AS "update",
    pg_catalog.has_table_privilege(a.attrelid, 'DELETE')::text AS "delete", pg_catalog.quote_ident(current_user::text) AS me
  FROM ROWS FROM (pg_catalog.unnest($1::text[])) WITH ORDINALITY t(name, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid ${EQ} ${regclass("t.name")} AND a.attnum ${GT} 0 AND NOT a.attisdropped
  ORDER BY t.n, a.attnum`;
/** Indexes, without those being created. Two with the same `work` are redundant. */
export const SCHEMA_INDEXES = `
  SELECT i.indexrelid::regclass::text AS name, i.indisvalid::text AS valid, i.indisunique::text AS unique,
    (EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid ${EQ} i.indexrelid))::text AS bound,
    pg_catalog.concat_ws('|'::text, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text, x.relam::text,
      pg_catalog.pg_get_expr(i.indpred, i.indrelid), pg_catalog.pg_get_expr(i.indexprs, i.indrelid)) AS work
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid ${EQ} i.indexrelid
  WHERE i.indrelid ${EQ} ${regclass("$1::text")}
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid ${EQ} i.indexrelid)
  ORDER BY i.indexrelid`;
/** Tables of a list, their columns and valid indexes, in the order in which they were made. */
export const SCHEMA_OBJECTS = `
  SELECT o.kind AS kind, t.name AS "table", o.name AS name
  FROM ROWS FROM (pg_catalog.unnest($1::text[])) WITH ORDINALITY t(name, n)
  CROSS JOIN LATERAL (
    SELECT 'table'::text AS kind, t.name AS name, 1 AS k, 0::bigint AS m WHERE ${regclass("t.name")} IS NOT NULL
    UNION ALL SELECT 'column'::text, a.attname::text, 2, a.attnum::bigint FROM pg_catalog.pg_attribute a
      WHERE a.attrelid ${EQ} ${regclass("t.name")} AND a.attnum ${GT} 0 AND NOT a.attisdropped
    UNION ALL SELECT 'index'::text, x.relname::text, 3, x.oid::bigint FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class x ON x.oid ${EQ} i.indexrelid WHERE i.indrelid ${EQ} ${regclass("t.name")} AND i.indisvalid
  ) o ORDER BY t.n, o.k, o.m`;
/** The progress of the indexes that are being created on a table, in blocks. */
export const INDEX_PROGRESS = `
  SELECT COALESCE(pg_catalog.sum(p.blocks_done), 0)::text AS done, COALESCE(pg_catalog.sum(p.blocks_total), 0)::text AS total
  FROM pg_catalog.pg_stat_progress_create_index p WHERE p.relid ${EQ} ${regclass("$1::text")}`;
/** Schemas of the search path in which every role may create objects. */
export const OPEN_SCHEMAS = `
  SELECT pg_catalog.quote_ident(n.nspname::text) AS name FROM pg_catalog.pg_namespace n
  WHERE n.nspname ${EQ} ANY (pg_catalog.current_schemas(false))
    AND pg_catalog.has_schema_privilege('public'::name, n.oid, 'CREATE') ORDER BY 1`;

/** SQL of a setting of a table `c`, by default the server's. */
const setting = (name: string, otherwise = `pg_catalog.current_setting('${name}')`): string =>
  `COALESCE((SELECT o.option_value FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name ${EQ} '${name}'), ${otherwise})`;
/**
 * A table's statistics, summed over the leaves of a partitioned one. The width of a row is about the same in each. No
 * float becomes a text, because the setting `extra_float_digits` would shorten it.
 */
export const TABLE_STATS = `
  SELECT ${ROWS} AS rows, pg_catalog.count(*)::text AS parts, pg_catalog.sum(pg_catalog.pg_relation_size(c.oid))::text AS bytes,
    pg_catalog.max((SELECT COALESCE(pg_catalog.sum(w.avg_width ${TIMES} (1 ${MINUS} w.null_frac)), 0)::numeric FROM pg_catalog.pg_stats w
      WHERE w.schemaname ${EQ} n.nspname AND w.tablename ${EQ} c.relname))::text AS width,
    pg_catalog.min(${setting("fillfactor", "'100'")}::float8)::numeric::text AS fillfactor,
    COALESCE(pg_catalog.sum(s.n_dead_tup), 0)::text AS dead,
    pg_catalog.sum(${setting("autovacuum_vacuum_threshold")}::float8
      ${PLUS} (${setting("autovacuum_vacuum_scale_factor")}::float8 ${TIMES} greatest(c.reltuples, 0)))::numeric::text AS threshold,
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
export const INDEX_STATS = `
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

export const SERVER = `
  SELECT pg_catalog.current_setting('server_version_num') AS version, pg_catalog.current_setting('server_version') AS name,
    pg_catalog.pg_is_in_recovery()::text AS standby`;

export const CLOCK = `SELECT ${millisecondsOf("pg_catalog.clock_timestamp()")} AS now`;

/** Counts expired rows up to a limit. It reads the index on expiry, and the whole table without one. */
export function backlogOf({ quoted }: TableName, layout: Layout, limit: number): string {
  const { expiry } = layout;
  const expired = `FROM ${quoted} s WHERE ${expiry} ${LE} current_timestamp AND ${expiry} ${GT} '-infinity'${layout.users ? ` AND NOT ${isFence("s")}` : ""}`;
  return `SELECT (SELECT pg_catalog.count(*) FROM (SELECT ${expired} LIMIT ${limit}) e)::text AS count,
    (SELECT (extract(epoch from current_timestamp ${MINUS} ${expiry}::timestamptz) ${TIMES} 1000)::text
      ${expired} ORDER BY ${expiry} LIMIT 1) AS overdue`;
}

/** Counts a page of rows by their state. */
export function countPage({ quoted }: TableName, hasUsers: boolean, limit: number): string {
  const user = hasUsers ? "user_id" : "NULL::text AS user_id";
  return `SELECT pg_catalog.count(*)::text AS rows, pg_catalog.max(token) AS last,
      pg_catalog.count(*) FILTER (WHERE expiry ${GT} current_timestamp)::text AS live,
      pg_catalog.count(*) FILTER (WHERE expiry ${EQ} 'infinity')::text AS endless,
      pg_catalog.count(*) FILTER (WHERE expiry ${EQ} '-infinity')::text AS past,
      pg_catalog.count(*) FILTER (WHERE expiry ${GT} current_timestamp AND user_id IS NULL)::text AS userless,
      pg_catalog.count(*) FILTER (WHERE expiry ${GT} current_timestamp AND size ${EQ} 0)::text AS empty,
      COALESCE(pg_catalog.max(size), 0)::text AS largest
    FROM (SELECT token, expiry, pg_catalog.octet_length(data) AS size, ${user} FROM ${quoted}
      WHERE token ${GT} $1::text ORDER BY token LIMIT ${limit}) p`;
}

/** The quoted schema of the extension pgstattuple, or null. */
export const PGSTATTUPLE = `
  SELECT (SELECT pg_catalog.quote_ident(n.nspname::text) FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} e.extnamespace WHERE e.extname ${EQ} 'pgstattuple') AS schema`;

/** Percentages of the table that are dead rows and free space. @param schema - of pgstattuple, quoted */
export function tuplesBy(schema: string): string {
  const share = (bytes: string): string =>
    `pg_catalog.round((100 ${TIMES} pg_catalog.sum(${bytes})) ${OVER} greatest(pg_catalog.sum(p.table_len), 1), 1)::text`;
  return `SELECT ${share("p.dead_tuple_len")} AS dead, ${share("p.approx_free_space")} AS free
    FROM (${leavesOf(regclass("$1::text"))}) l(oid) CROSS JOIN LATERAL ${schema}.pgstattuple_approx(l.oid::regclass) p`;
}

/** Counts the rows that a cleanup may remove. @param graceMs - milliseconds for which ended sessions are remembered */
export function countRemovable({ quoted }: TableName, layout: Layout, graceMs: number, limit?: number): string {
  const most = limit === undefined ? "" : `LIMIT ${limit}`;
  return (
    `SELECT pg_catalog.count(*)::text AS count FROM (SELECT FROM ${quoted} s ` +
    `WHERE s.${layout.expiry} ${LE} current_timestamp AND ${outlivedRow(layout, graceMs)} ${most}) e`
  );
}

export const countPresent = ({ quoted }: TableName): string =>
  `SELECT pg_catalog.count(*)::text AS count FROM ${quoted} WHERE token ${EQ} ANY ($1::text[])`;

export const SAME_TABLE = `SELECT (${regclass("$1::text")} ${EQ} ${regclass("$2::text")})::text AS same`;

/** Counts all rows. @param table - quoted, of any layout */
export const countAll = (table: string): string => `SELECT pg_catalog.count(*)::text AS count FROM ${table}`;

/** A page of all rows by token, expired ones included. @param table - quoted */
export function pageOf(table: string, layout: Layout): string {
  const { token, data, expiry, ended } = layout;
  return (
    `SELECT s.${token} AS token, ${layout.read(`s.${data}`)} AS data, ${millisecondsOf(`s.${expiry}::timestamptz`)} AS expiry, ` +
    `(s.${expiry} ${LE} current_timestamp OR ${ended})::text AS expired FROM ${table} s ` +
    `WHERE s.${token} ${GT} $1::text ORDER BY s.${token} LIMIT $2::text::int`
  );
}
