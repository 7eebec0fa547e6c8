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

/** SQL of a text, or of null where it is empty. */
export const unlessEmpty = (text: string): string => `CASE WHEN ${text} ${NE} '' THEN ${text} END`;
