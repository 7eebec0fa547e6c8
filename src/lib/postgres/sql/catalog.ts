/**
 * Names that nobody else can take (docs/decisions/021).
 *
 * PostgreSQL runs the function or operator whose types fit best, of all schemas of the search path. Whoever may create
 * functions in one of these could have an overload of their own run with the caller's rights (CVE-2018-1058). So every SQL
 * text says `pg_catalog.` before each function and each table of the catalog, and takes its operators from here. These have
 * one precedence, above IS, NOT and AND: put what is added or joined within a comparison in parentheses.
 *
 * NULLIF, IN, BETWEEN, LIKE, USING, IS DISTINCT FROM and `CASE x WHEN` hide operators that can't be named: they are not used.
 */
const operator = (symbol: string): string => `OPERATOR(pg_catalog.${symbol})`;

export const EQ = operator("=");
export const NE = operator("<>");
export const LT = operator("<");
export const LE = operator("<=");
export const GT = operator(">");
export const GE = operator(">=");
export const PLUS = operator("+");
export const MINUS = operator("-");
export const TIMES = operator("*");
export const OVER = operator("/");
export const CONCAT = operator("||");
/** LIKE */
export const MATCHES = operator("~~");
export const CONTAINS = operator("@>");

/** SQL of the oid of a table, or null where there is none. @param literal - SQL of its quoted name, a text */
export const regclass = (literal: string): string => `pg_catalog.to_regclass(${literal})`;

/**
 * SQL of a query for the oids that hold the rows of a table, or the entries of an index: itself, or its leaves where it is
 * partitioned. @param oid - SQL of its oid
 */
export const leavesOf = (oid: string): string =>
  `SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid ${EQ} ${oid} AND c.relkind ${NE} 'p' AND c.relkind ${NE} 'I' ` +
  `UNION SELECT t.relid::oid FROM pg_catalog.pg_partition_tree((${oid})::regclass) t WHERE t.isleaf`;

/** SQL of how many rows tables `c` have, by PostgreSQL's statistics: -1 where one of them was never analysed. */
export const ROWS = `(CASE WHEN pg_catalog.min(c.reltuples) ${GE} 0 THEN pg_catalog.sum(c.reltuples::float8) ELSE -1 END)::text`;

/** SQL of a text, or of null where it is empty. */
export const unlessEmpty = (text: string): string => `CASE WHEN ${text} ${NE} '' THEN ${text} END`;
