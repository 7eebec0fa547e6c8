import { MAX_COUNTED_SESSIONS, MAX_SORTED_ROWS } from "../../core/stats.ts";
import { EQ, GE, GT, LE, leavesOf, LT, MATCHES, regclass, ROWS } from "./catalog.ts";
import { scsLayout } from "./layout.ts";
import { liveRow, millisecondsOf, sessionColumns } from "./fragments.ts";
import { quoteLiteral, type TableName } from "./table-name.ts";

/**
 * Makes the statements that find users and sessions for operators, in a table with the columns for users. Each reads a bounded
 * number of rows.
 */
export function searchStatements({ quoted, users }: TableName) {
  const live = liveRow(scsLayout);
  const name = quoteLiteral(quoted);
  const sessionsOf = (user: string): string =>
    `(SELECT pg_catalog.count(*)::text FROM (SELECT FROM ${quoted} s WHERE s.user_id ${EQ} ${user} AND ${live} ` +
    `LIMIT ${MAX_COUNTED_SESSIONS}) AS few)`;
  // An index in byte order can look up this pattern in any encoding.
  const matching = `u.user_id ${MATCHES} $1::text AND u.last_login IS NOT NULL`;
  const listed = (compared: string, order: string): string =>
    `SELECT u.user_id AS user_id, ${millisecondsOf("u.last_login")} AS last_login, ${sessionsOf("u.user_id")} AS sessions ` +
    `FROM ${users} u WHERE ${matching} AND u.user_id ${compared} $2::text ORDER BY u.user_id ${order} LIMIT $3::text::int`;
  const counted = "(SELECT pg_catalog.count(*)::text FROM few)";
  /** @param few - SQL of the users of the counted sessions */
  const ranked = (few: string): string =>
    `WITH few AS (${few}), page AS (SELECT few.user_id AS user_id, pg_catalog.count(*) AS sessions FROM few GROUP BY few.user_id ` +
    "ORDER BY sessions DESC, few.user_id LIMIT $2::text::int OFFSET $3::text::int) " +
    `SELECT page.user_id AS user_id, ${millisecondsOf("u.last_login")} AS last_login, ${sessionsOf("page.user_id")} AS sessions, ` +
    `${counted} AS read FROM page JOIN ${users} u ON u.user_id ${EQ} page.user_id AND u.last_login IS NOT NULL ORDER BY page.sessions DESC, page.user_id`;
  const columns = `s.token AS id, s.user_id AS user_id, ${sessionColumns} FROM`;
  const ofAddress = `s.ip ${EQ} ANY ($1::text[]) AND ${live}`;
  return {
    /** Returns the name of the database, and the server's address. */
    place:
      "SELECT pg_catalog.current_database()::text AS database, " +
      "pg_catalog.host(pg_catalog.inet_server_addr()) AS host",
    /** Returns the number of rows by PostgreSQL's statistics. */
    estimate: `SELECT ${ROWS} AS rows FROM pg_catalog.pg_class c WHERE c.oid ${EQ} ANY (ARRAY(${leavesOf(regclass(name))}))`,
    usersAfter: listed(GT, ""),
    usersBefore: listed(LT, "DESC"),
    countUsers: `SELECT pg_catalog.count(*)::text AS count FROM (SELECT FROM ${users} u WHERE ${matching} LIMIT $2::text::int) AS few`,
    countSessions: `SELECT ${sessionsOf("$1::text")} AS count`,
    byLogin:
      `WITH few AS (SELECT u.user_id AS user_id, u.last_login AS last_login FROM ${users} u WHERE ${matching} ` +
      `ORDER BY u.user_id LIMIT ${MAX_SORTED_ROWS}), page AS (SELECT few.user_id AS user_id, few.last_login AS last_login FROM few ` +
      "ORDER BY few.last_login DESC, few.user_id LIMIT $2::text::int OFFSET $3::text::int) " +
      `SELECT page.user_id AS user_id, ${millisecondsOf("page.last_login")} AS last_login, ${sessionsOf("page.user_id")} AS sessions, ` +
      `${counted} AS read FROM page ORDER BY page.last_login DESC, page.user_id`,
    bySessions: ranked(
      `SELECT s.user_id AS user_id FROM ${quoted} s WHERE s.user_id ${MATCHES} $1::text AND s.user_id IS NOT NULL AND ${live} ` +
        `LIMIT ${MAX_SORTED_ROWS}`,
    ),
    /** Ranks users by their sessions in a sample of the table's pages. */
    bySessionsIn: (percent: number): string =>
      ranked(
        `SELECT s.user_id AS user_id FROM ${quoted} s TABLESAMPLE SYSTEM (${percent}) REPEATABLE (0) ` +
          `WHERE s.user_id ${MATCHES} $1::text AND ${live}`,
      ),
    sessionById: `SELECT ${columns} ${quoted} s WHERE s.token ${EQ} $1::text AND ${live}`,
    /** Finds the next live sessions by id. Those whose ids begin with a text of 12 random characters are the first. */
    sessionsFrom:
      `SELECT ${columns} (SELECT * FROM ${quoted} s WHERE s.token ${GE} $1::text ` +
      `ORDER BY s.token LIMIT 5) s WHERE ${live} ORDER BY s.token`,
    /** Tells whether an index begins with the column `ip`. */
    hasAddressIndex:
      "SELECT (EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a " +
      `ON a.attrelid ${EQ} i.indrelid AND a.attnum ${EQ} i.indkey[0] WHERE i.indrelid ${EQ} ${regclass(name)} ` +
      `AND i.indisvalid AND a.attname ${EQ} 'ip'))::text AS found`,
    byAddress: `SELECT ${columns} ${quoted} s WHERE ${ofAddress} LIMIT $2::text::int`,
    /** Returns the last id of the next rows by id, and their number. */
    nextRows:
      "SELECT pg_catalog.max(few.id) AS last, pg_catalog.count(*)::text AS count FROM (" +
      `SELECT s.token AS id FROM ${quoted} s WHERE s.token ${GT} $1::text ORDER BY s.token LIMIT $2::text::int) AS few`,
    /** Finds the sessions of an address between two ids. */
    byAddressBetween:
      `SELECT ${columns} ${quoted} s WHERE ${ofAddress} AND s.token ${GT} $2::text AND s.token ${LE} $3::text ` +
      `ORDER BY s.token LIMIT $4::text::int`,
  };
}
