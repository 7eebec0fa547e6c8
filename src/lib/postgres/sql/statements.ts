import { FENCE_ID, sha256 } from "../../core/token.ts";
import { MAX_BATCH_BYTES } from "../execution/batch.ts";
import { CONCAT, EQ, GE, GT, LE, LT, MINUS, OVER, PLUS, regclass, TIMES } from "./catalog.ts";
import { quoteLiteral, type TableName } from "./table-name.ts";
import type { Layout } from "./layout.ts";

/** An SQL text. */
export interface Statement {
  text: string;
  /**
   * What it may be called where the server keeps it prepared. Each text has a name of its own, so that no process of a
   * fleet finds another's statement under it. None: it runs too rarely for a plan that is kept.
   */
  name?: string;
  /** What is run in its place, with the same parameters, when the columns about users are gone, or not for this role any more. */
  instead?: Statement;
}

/**
 * Every statement of the request path and of the cleanup, for one table.
 *
 * Each is a single statement keyed by token, so it needs no transaction and no connection of its own (PgBouncer's
 * transaction mode), and works on Citus. Parameters and results are text, whatever parsers the client has: tokens as they
 * are, bytes as base64, instants as milliseconds since 1970. Time is the database's: `current_timestamp`.
 *
 * What takes many rows takes an array for each column. The rows of a write come sorted by token and are joined in that
 * order, so that two of them don't deadlock.
 */
export interface Statements {
  /** Leaves out the data of a row that is longer than its share of one answer. */
  find: Statement;
  /** Reads rows whose data `find` has left out: as many as fit into one answer, at least one. */
  findLarge: Statement;
  /** For a token that is alone: no array to unpack and no join, which is a tenth of the time that it takes. */
  findOne: Statement;
  save: Statement;
  create: Statement;
  replace: Statement;
  touch: Statement;
  /** What `replace` and `touch` may be: see `Writes`. */
  writes: Writes;
  upsert: Statement;
  update: Statement;
  setExpiry: Statement;
  end: Statement;
  delete: Statement;
  renew: Statement;
  now: Statement;
  count: Statement;
  page: Statement;
  cleanUp: Statement;
}

/** What writes to a session that is there already. */
interface Renewing {
  replace: Statement;
  touch: Statement;
}

/** The columns about users, which `migrate` adds, are not on every table. */
export interface Writes {
  /** On a table without them. */
  plain: Renewing;
  /** On one that may have them: these tell, by a column `seen` of their result. */
  asking: Renewing;
  /** On one with them: these note when it was. */
  seen: Renewing;
}

/** The columns of a batch, in the order of its parameters. */
export const COLUMNS = {
  find: ["token"],
  save: ["token", "data", "expiry"],
  create: ["token", "data", "expiry"],
  replace: ["token", "previous", "data", "expiry"],
  touch: ["token", "expiry", "digest"],
  upsert: ["token", "data", "expiry"],
  update: ["token", "data", "expiry"],
  setExpiry: ["token", "expiry"],
  end: ["token"],
  delete: ["token"],
} as const;

export type BatchKind = keyof typeof COLUMNS;

/** SQL of a text, milliseconds since 1970. */
export const millisecondsOf = (instant: string): string => `(extract(epoch from ${instant}) ${TIMES} 1000)::text`;
/** SQL of the instant that such a text says. */
export const instant = (text: string): string => `pg_catalog.to_timestamp(${text}::float8 ${OVER} 1000)`;
const rowsOf = (kind: BatchKind): string => {
  const arrays = COLUMNS[kind].map((_, index) => `pg_catalog.unnest($${index + 1}::text[])`);
  return `ROWS FROM (${arrays.join(", ")}) AS v(${COLUMNS[kind].join(", ")})`;
};

/**
 * Joins the table with the rows of a batch, in their order and by the primary key. The second condition always holds. It
 * makes the planner expect a single row, and so a nested loop, however large the table was when it made the plan. Of an
 * array it expects ten rows, and on a small table it would hash them and scan the table: the rows would be locked in the
 * table's order, and the plan kept while the table grows. (docs/decisions/007)
 */
export const joinedBy = (token: string, rows = "v"): string =>
  `s.${token} ${EQ} ${rows}.token AND (${rows}.token ${CONCAT} '') ${EQ} ${rows}.token`;

/** SQL that says whether a row `s` is a live session. */
export const liveRow = ({ expiry, ended, typed }: Layout): string =>
  `s.${expiry} ${GT} current_timestamp AND NOT ${ended} AND ${typed}`;

/** SQL that says of a row `s` whether it still tells that its session was ended. @param grace - milliseconds */
const rememberedRow = ({ expiry, entombed }: Layout, grace: number): string =>
  `(${entombed} AND s.${expiry} ${GT} (current_timestamp ${MINUS} interval '${grace / 1000} seconds'))`;

/** SQL that says whether no row has a token. */
export const isFree = (table: string, token: string, value: string): string =>
  `NOT EXISTS (SELECT FROM ${table} taken WHERE taken.${token} ${EQ} ${value})`;

/** SQL that says of a row `s` that has expired whether it may be removed. */
export const outlivedRow = (layout: Layout, grace: number): string =>
  `NOT ${rememberedRow(layout, grace)}${layout.users ? ` AND NOT ${isFence(layout, "s")}` : ""}`;

/** SQL that says whether a row is the fence. @param alias - of the table */
export const isFence = ({ token }: Layout, alias: string): string => `(${alias}.${token} ${EQ} '${FENCE_ID}'::text)`;

/** SQL of an instant, from a text of microseconds since 1970: exactly, as places are compared by them. */
export const micros = (text: string): string =>
  `(timestamptz 'epoch' ${PLUS} (${text}::float8 ${TIMES} interval '1 microsecond'))`;

/** SQL that says whether the table has the columns about users, and not others of these names, which are the application's. */
export const hasColumns = ({ quoted }: TableName): string =>
  `(SELECT pg_catalog.count(*) ${EQ} 2 FROM pg_catalog.pg_attribute a ` +
  `WHERE a.attrelid ${EQ} ${regclass(quoteLiteral(quoted))} AND NOT a.attisdropped ` +
  `AND (a.attname ${EQ} 'user_id' AND a.atttypid ${EQ} 'pg_catalog.text'::regtype ` +
  `OR a.attname ${EQ} 'last_seen' AND a.atttypid ${EQ} 'pg_catalog.timestamptz'::regtype))`;

/** SQL that says whether a row of the table can tell whose session it is. */
export const hasOwners = ({ quoted }: TableName): string =>
  `EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid ${EQ} ${regclass(quoteLiteral(quoted))} ` +
  `AND a.attname ${EQ} 'user_id' AND a.atttypid ${EQ} 'pg_catalog.text'::regtype AND NOT a.attisdropped)`;

/** SQL that says whether the table has them, and this role may note when it was. */
export const canNote = (table: TableName): string =>
  `(${hasColumns(table)} AND pg_catalog.has_column_privilege(${regclass(quoteLiteral(table.quoted))}, 'last_seen', 'UPDATE'))`;

/**
 * @param grace - milliseconds for which an ended session is remembered
 */
export function statementsFor(name: TableName, layout: Layout, grace: number): Statements {
  const table = name.quoted;
  const { token, data, expiry, entombed, ended, typed, write } = layout;
  const joined = joinedBy(token);
  const live = liveRow(layout);
  const isKnown = `s.${expiry} ${GT} current_timestamp OR ${rememberedRow(layout, grace)}`;
  // A look-up finds the fence as well, if there is one: it looks for a second key, in the same index.
  const known = `(${isKnown}${layout.users ? ` OR ${isFence(layout, "s")}` : ""}) AND ${typed}`;
  const [alone, together] = layout.users
    ? [`ANY (ARRAY[$1::text, '${FENCE_ID}'])`, `pg_catalog.array_append($1::text[], '${FENCE_ID}')`]
    : ["$1::text", "$1::text[]"];
  const fence = layout.users ? `(SELECT 'true' FROM ${table} f WHERE ${isFence(layout, "f")})` : "NULL";
  const isEnded = `(${ended})::text AS ended`;
  const removable = `s.${expiry} ${LE} current_timestamp AND s.${expiry} ${GE} ${instant("$1::text")} AND ${typed} AND ${outlivedRow(layout, grace)}`;
  // A cast, as the column may have no time zone: then it is the connection's, as in the comparison.
  const expiryText = millisecondsOf(`s.${expiry}::timestamptz`);
  const expiryFound = `${expiryText} AS expiry`;
  const found = `${layout.read(`s.${data}`)} AS data, ${expiryFound}`;
  const size = layout.size(`s.${data}`);
  const share = `(${MAX_BATCH_BYTES} ${OVER} pg_catalog.cardinality($1::text[]))`;
  const foundInShare = `CASE WHEN ${size} ${LE} ${share} THEN ${layout.read(`s.${data}`)} END AS data, ${expiryFound}`;
  // Those beyond so many bytes come without their data, and are asked for again.
  const foundInBounds = (order: string): string =>
    `CASE WHEN (pg_catalog.sum(${size}) OVER (${order}ROWS UNBOUNDED PRECEDING) ${MINUS} ${size}) ${LT} ${MAX_BATCH_BYTES} ` +
    `THEN ${layout.read(`s.${data}`)} END AS data, ${expiryFound}`;
  const now = millisecondsOf("current_timestamp");
  const returning = `RETURNING s.${token} AS token`;
  const insert = (kind: "save" | "create" | "upsert"): string =>
    `INSERT INTO ${table} AS s (${token}, ${data}, ${expiry}) ` +
    `SELECT v.token, ${write("v.data")}, ${instant("v.expiry")} FROM ${rowsOf(kind)} ON CONFLICT (${token})`;
  const overwrite = `DO UPDATE SET ${data} = EXCLUDED.${data}, ${expiry} = EXCLUDED.${expiry}`;
  const entomb = (tombstone: string): string => `${data} = ${tombstone}, ${expiry} = current_timestamp`;
  const update = (kind: BatchKind, changes: string, condition: string, told = ""): string =>
    `UPDATE ${table} s SET ${changes} FROM ${rowsOf(kind)} WHERE ${joined} AND ${condition} ${returning}${told}`;
  const replaced = `${data} = ${write("v.data")}, ${expiry} = ${instant("v.expiry")}`;
  const unchanged = `s.${data} ${EQ} ${write("v.previous")} AND ${live}`;
  // A digest, so that the bytes needn't be sent; none: whatever the row holds.
  const asLoaded = `(v.digest ${EQ} '' OR ${layout.digest} ${EQ} pg_catalog.decode(v.digest, 'base64')) AND ${live}`;
  const touched = `${expiry} = greatest(s.${expiry}, ${instant("v.expiry")})`;
  const writing = (kept: (text: string) => Statement, more: string, told: string): Renewing => ({
    replace: kept(update("replace", replaced + more, unchanged, `, ${fence} AS fence${told}`)),
    touch: kept(update("touch", touched + more, asLoaded, `, ${fence} AS fence${told}`)),
  });
  // In a subquery of its own, so that it is looked for once, not for each row.
  const asking = writing((text) => ({ text }), "", `, (SELECT ${canNote(name)})::text AS seen`);
  const seen = writing(prepared, ", last_seen = current_timestamp", "");
  const writes = {
    plain: writing(prepared, "", ""),
    asking,
    seen: {
      replace: { ...seen.replace, instead: asking.replace },
      touch: { ...seen.touch, instead: asking.touch },
    },
  };
  // The time in a subquery, so that it is written out once, not for each row.
  const findIn = (data: string): string =>
    `SELECT s.${token} AS token, ${data}, ${isEnded}, (SELECT ${now}) AS now FROM ${table} s, ROWS FROM (pg_catalog.unnest(${together})) AS v(token) WHERE ${joined} AND ${known}`;
  const texts = {
    find: findIn(foundInShare),
    findLarge: findIn(foundInBounds("")),
    findOne: `SELECT s.${token} AS token, ${found}, ${isEnded}, ${now} AS now FROM ${table} s WHERE s.${token} ${EQ} ${alone} AND ${known}`,
    save: `${insert("save")} ${overwrite} ${returning}, (${typed})::text AS typed`,
    create: `${insert("create")} DO NOTHING ${returning}, (${typed})::text AS typed`,
    upsert: `${insert("upsert")} ${overwrite} WHERE NOT (${entombed}) ${returning}, (${typed})::text AS typed`,
    update: update("update", replaced, live),
    setExpiry: update("setExpiry", `${expiry} = ${instant("v.expiry")}`, live),
    end: update("end", entomb(layout.destroyed), `NOT ${ended} AND ${typed}`),
    delete: `DELETE FROM ${table} s USING ${rowsOf("delete")} WHERE ${joined} ${returning}`,
    // A new token that is taken must not end the old row. Looked for first, as an error would abort the transaction that the
    // application may have begun on its client; one that is taken in the same moment fails on the primary key (23505).
    renew:
      `WITH ended AS (UPDATE ${table} s SET ${entomb(layout.replacedBy("$2::text"))} ` +
      `WHERE s.${token} ${EQ} $1::text AND s.${data} ${EQ} ${write("$3::text")} AND ${live} AND ${isFree(table, token, "$2::text")} RETURNING 1) ` +
      `INSERT INTO ${table} AS s (${token}, ${data}, ${expiry}) ` +
      `SELECT $2::text, ${write("$4::text")}, ${instant("$5::text")} FROM ended ${returning}`,
    now: `SELECT ${now} AS now`,
    count: `SELECT pg_catalog.count(*)::text AS count FROM ${table} s WHERE ${live}`,
    page:
      `SELECT s.${token} AS token, ${foundInBounds(`ORDER BY s.${token} `)} FROM (SELECT s.${token}, s.${data}, s.${expiry} ` +
      `FROM ${table} s WHERE s.${token} ${GT} $1::text AND ${live} ORDER BY s.${token} LIMIT $2::text::int) s ORDER BY s.${token}`,
    // One statement, so that the lock needs no transaction, nor a connection of its own: it is held for as long as this takes.
    // From where the last page ended: the index still holds what has been removed before it, until a vacuum. What somebody
    // has locked stays for the next time. A row that has been extended meanwhile is none of these when it is locked. While there is
    // a fence, what tells where sessions go on stays: the ends that it stands for spare some of them.
    cleanUp:
      `WITH lead AS MATERIALIZED (SELECT CASE WHEN $3::text ${EQ} '' THEN true ELSE pg_catalog.pg_try_advisory_xact_lock(` +
      `pg_catalog.hashtext('pgstore'), pg_catalog.hashtext($3::text)) END AS leads, ${fence} AS fence), ` +
      `page AS (SELECT s.${token} AS token, s.${expiry} AS expiry FROM ${table} s ` +
      `WHERE ((SELECT leads FROM lead) OR $4::text ${EQ} 'true') AND ${removable} ` +
      `AND ((SELECT fence FROM lead) IS NULL OR ${layout.successor} IS NULL) ` +
      `ORDER BY s.${expiry} LIMIT $2::text::int FOR UPDATE OF s SKIP LOCKED), ` +
      `gone AS (DELETE FROM ${table} s USING page WHERE ${joinedBy(token, "page")} RETURNING 1) ` +
      "SELECT (SELECT leads FROM lead)::text AS leads, (SELECT fence FROM lead) AS fence, (SELECT pg_catalog.count(*) FROM page)::text AS found, " +
      "(SELECT pg_catalog.count(*) FROM gone)::text AS gone, " +
      `${millisecondsOf("(SELECT pg_catalog.max(page.expiry) FROM page)::timestamptz")} AS last, ` +
      `(SELECT ${expiryText} FROM ${table} s WHERE ${removable} ORDER BY s.${expiry} LIMIT 1) AS oldest`,
  };
  return {
    find: prepared(texts.find),
    findLarge: prepared(texts.findLarge),
    findOne: prepared(texts.findOne),
    save: prepared(texts.save),
    create: prepared(texts.create),
    writes,
    ...(layout.users ? writes.asking : writes.plain),
    upsert: prepared(texts.upsert),
    update: prepared(texts.update),
    setExpiry: prepared(texts.setExpiry),
    end: prepared(texts.end),
    delete: prepared(texts.delete),
    renew: prepared(texts.renew),
    now: { text: texts.now },
    count: { text: texts.count },
    page: { text: texts.page },
    cleanUp: { text: texts.cleanUp },
  };
}

/** A statement that the server keeps prepared, under a name of its own. */
export function prepared(text: string): Statement {
  return { text, name: `pgstore_${sha256(text).slice(0, 16)}` };
}
