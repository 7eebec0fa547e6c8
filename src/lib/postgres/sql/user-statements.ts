import { CONTAINS, EQ, LE, LT, NE, PLUS, TIMES } from "./catalog.ts";
import { type FenceStatements, fenceStatements } from "./fence.ts";
import type { TableName } from "./table-name.ts";
import type { Layout } from "./layout.ts";
import { entomb, instant, joinedBy, liveRow, micros, millisecondsOf, prepared, type Statement } from "./fragments.ts";
import { lockOf, notice } from "./logins.ts";

/** Statements about users, which need the columns that `migrate` adds. */
export interface UserStatements extends FenceStatements {
  /** Waits for logins under way with a tag. */
  quiet: Statement;
  listByTag: Statement;
  list: Statement;
  /** Ends a user's newest page of sessions, and records the time in the user's row. */
  end: Statement;
  /** Ends a page of a user's sessions after a place. */
  endPage: Statement;
  /** Ends a page of a user's sessions that began before an instant, in any order. */
  sweep: Statement;
  /** Ends a page of a user's sessions beyond the limit. */
  trim: Statement;
}

export function userStatements(table: TableName, layout: Layout): UserStatements {
  const { token, expiry, successor } = layout;
  const { quoted, users } = table;
  const live = liveRow(layout);
  // The lock order of batches, to avoid deadlocks with them.
  const locked = (from: string): string =>
    `SELECT s.${token} AS token ${from} ORDER BY s.${token} COLLATE "C" FOR NO KEY UPDATE OF s`;
  /** Microseconds since 1970. Exact, because places are compared by it. */
  const microsOf = (at: string): string =>
    `pg_catalog.round((extract(epoch from ${at}) ${TIMES} 1000000::numeric), 0)::bigint::text`;
  // Times of logins are rounded up to a millisecond.
  const bound = `, ${microsOf(`(f.revoked ${PLUS} interval '999 microseconds')`)} AS bound`;
  /**
   * SQL that ends a page of a user's sessions without the exceptions and their renewals. It returns the sessions that it found
   * and those that it ended: a concurrent statement may have been faster.
   */
  const page = (also: string | undefined, place: string, limit: string, offset = ""): string =>
    `spared AS (SELECT s.${token} AS token, ${successor} AS next FROM ${quoted} s WHERE s.${token} ${EQ} ANY ($2::text[]) ` +
    `UNION SELECT s.${token}, ${successor} FROM spared, ${quoted} s WHERE s.${token} ${EQ} spared.next), ` +
    `page AS (SELECT s.${token} AS token, s.created AS created FROM ${also === undefined ? "" : `${also}, `}${quoted} s ` +
    `WHERE s.user_id ${EQ} $1::text AND ${place} AND s.${token} ${NE} ALL (ARRAY(SELECT spared.token FROM spared)) ` +
    `AND ${live} ORDER BY s.created DESC, s.${token} DESC ${offset} LIMIT ${limit}::text::int), ` +
    `mine AS (${locked(`FROM ${quoted} s JOIN page ON ${joinedBy(token, "page")} WHERE ${live}`)}), ` +
    `ended AS (UPDATE ${quoted} s SET ${entomb(layout, layout.revoked)} FROM mine WHERE ${joinedBy(token, "mine")} AND ${live} ` +
    `RETURNING s.${token} AS token) ` +
    // Not a join: the planner expects a single row, and would compare each row with each.
    `SELECT page.token AS token, ${microsOf("page.created")} AS created, 'false' AS ended` +
    (also === undefined
      ? " FROM page UNION ALL SELECT ended.token, NULL, 'true' FROM ended"
      : `, ${also}.crossed::text AS crossed, ${also}.bound AS bound FROM ${also} LEFT JOIN page ON true ` +
        "UNION ALL SELECT ended.token, NULL, 'true', NULL, NULL FROM ended");
  const texts = {
    quiet: `SELECT 'true' AS quiet FROM pg_catalog.pg_advisory_xact_lock(${lockOf(quoted, "$1::text")})`,
    listByTag:
      `SELECT s.${token} AS token, s.user_id AS user_id FROM ${quoted} s ` +
      `WHERE s.tags ${CONTAINS} ARRAY[$1::text] AND ${live} LIMIT $2::text::int`,
    list:
      `SELECT s.${token} AS token, ${millisecondsOf("s.created")} AS created, ${millisecondsOf("s.last_seen")} AS last_seen, ` +
      `${millisecondsOf(`s.${expiry}`)} AS expiry, s.ip AS ip, s.user_agent AS user_agent FROM ${quoted} s ` +
      `WHERE s.user_id ${EQ} $1::text AND ${live} AND (s.created, s.${token}) ${LT} (${instant("$2::text")}, $3::text) ` +
      `ORDER BY s.created DESC, s.${token} DESC LIMIT $4::text::int`,
    end: `WITH RECURSIVE ${notice(users, "$1::text", "revoked", "last_login", bound)}, ${page("notice", "true", "$3")}`,
    endPage: `WITH RECURSIVE ${page(undefined, `(s.created, s.${token}) ${LT} (${micros("$4::text")}, $5::text)`, "$3")}`,
    sweep: `WITH RECURSIVE ${page(undefined, `(s.created IS NULL OR s.created ${LE} ${micros("$4::text")})`, "$3")}`,
    trim: `WITH RECURSIVE ${page(undefined, "s.created IS NOT NULL", "$3", "OFFSET $4::text::int")}`,
  };
  return {
    ...fenceStatements(table, layout),
    quiet: { text: texts.quiet },
    listByTag: { text: texts.listByTag },
    list: { text: texts.list },
    end: { text: texts.end },
    endPage: { text: texts.endPage },
    sweep: { text: texts.sweep },
    trim: prepared(texts.trim),
  };
}
