/**
 * Operators and functions with their schema, so that no other role can replace them (docs/decisions/021).
 *
 * PostgreSQL runs the function or operator whose types fit best, from any schema of the search path. A role that may create
 * functions in one of them could run its own overload with the caller's rights (CVE-2018-1058). So every SQL text writes
 * `pg_catalog.` before functions and catalog tables, and takes its operators from here. These all have the same precedence,
 * above IS, NOT and AND: put sums and concatenations within a comparison in parentheses.
 *
 * Don't use NULLIF, IN, BETWEEN, LIKE, USING, IS DISTINCT FROM or `CASE x WHEN`: they hide operators that can't be qualified.
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

/** SQL of the oid of a table, or null when it is missing. @param literal - SQL of its quoted name, a text */
export const regclass = (literal: string): string => `pg_catalog.to_regclass(${literal})`;

/**
 * SQL of a query for the oids that store a table or an index: its own, or those of its leaf partitions.
 *
 * @param oid - SQL of its oid
 */
export const leavesOf = (oid: string): string =>
  `SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid ${EQ} ${oid} AND c.relkind ${NE} 'p' AND c.relkind ${NE} 'I' ` +
  `UNION SELECT t.relid::oid FROM pg_catalog.pg_partition_tree((${oid})::regclass) t WHERE t.isleaf`;

/** SQL of the number of rows of tables `c` by PostgreSQL's statistics, or -1 if one was never analysed. */
export const ROWS = `(CASE WHEN pg_catalog.min(c.reltuples) ${GE} 0 THEN pg_catalog.sum(c.reltuples::float8) ELSE -1 END)::int8::text`;

/** SQL of a text, or of null when it is empty. */
export const unlessEmpty = (text: string): string => `CASE WHEN ${text} ${NE} '' THEN ${text} END`;
