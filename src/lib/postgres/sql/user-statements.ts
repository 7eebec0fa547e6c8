import { CONTAINS, EQ, LE, LT, NE, PLUS, TIMES } from "./catalog.ts";
import { fenceStatements } from "./fence.ts";
import type { TableName } from "./table-name.ts";
import { scsLayout } from "./layout.ts";
import { endedPage, instant, liveRow, micros, prepared, sessionColumns } from "./fragments.ts";
import { lockOf, notice } from "./logins.ts";

/** Makes the statements about users, which need the columns that `migrate` adds to SCS's table. */
export function userStatements(table: TableName) {
  const { successor } = scsLayout;
  const { quoted, users } = table;
  const live = liveRow(scsLayout);
  /** Microseconds since 1970. Exact, because places are compared by it. */
  const microsOf = (at: string): string =>
    `pg_catalog.round((extract(epoch from ${at}) ${TIMES} 1000000::numeric), 0)::bigint::text`;
  // Times of logins are rounded up to a millisecond.
  const bound = `, ${microsOf(`(f.revoked ${PLUS} interval '999 microseconds')`)} AS bound`;
  /**
   * Ends a page of a user's sessions except the spared ones and their renewals. Returns the sessions that it found and
   * those that it ended: a concurrent statement may have been faster.
   *
   * @param noticed - SQL of `notice` to run first, or ""
   */
  const page = (place: string, offset = "", noticed = ""): string =>
    `WITH RECURSIVE ${noticed && `${noticed}, `}spared AS (SELECT s.token AS token, ${successor} AS next FROM ${quoted} s WHERE s.token ${EQ} ANY ($2::text[]) ` +
    `UNION SELECT s.token, ${successor} FROM spared, ${quoted} s WHERE s.token ${EQ} spared.next), ` +
    `page AS (SELECT s.token AS token, s.created AS created FROM ${noticed && "notice, "}${quoted} s ` +
    `WHERE s.user_id ${EQ} $1::text AND ${place} AND s.token ${NE} ALL (ARRAY(SELECT spared.token FROM spared)) ` +
    `AND ${live} ORDER BY s.created DESC, s.token DESC ${offset} LIMIT $3::text::int), ` +
    `${endedPage(quoted, scsLayout)} ` +
    // Not a join: the planner expects a single row, and would compare every pair of rows.
    `SELECT page.token AS token, ${microsOf("page.created")} AS created, 'false' AS ended` +
    (noticed === ""
      ? " FROM page UNION ALL SELECT ended.token, NULL, 'true' FROM ended"
      : ", notice.crossed::text AS crossed, notice.bound AS bound FROM notice LEFT JOIN page ON true " +
        "UNION ALL SELECT ended.token, NULL, 'true', NULL, NULL FROM ended");
  return {
    ...fenceStatements(table),
    /** Waits for logins under way with a tag. */
    quiet: `SELECT 'true' AS quiet FROM pg_catalog.pg_advisory_xact_lock(${lockOf(quoted, "$1::text")})`,
    listByTag:
      `SELECT s.token AS token, s.user_id AS user_id FROM ${quoted} s ` +
      `WHERE s.tags ${CONTAINS} ARRAY[$1::text] AND ${live} LIMIT $2::text::int`,
    listByUser:
      `SELECT s.token AS token, ${sessionColumns} FROM ${quoted} s ` +
      `WHERE s.user_id ${EQ} $1::text AND ${live} AND (s.created, s.token) ${LT} (${instant("$2::text")}, $3::text) ` +
      `ORDER BY s.created DESC, s.token DESC LIMIT $4::text::int`,
    /** Ends a user's newest page of sessions, and records the time in the user's row. */
    endByUser: page("true", "", notice(users, "$1::text", "revoked", { told: bound })),
    /** Ends a page of a user's sessions after a place. */
    endPage: page(`(s.created, s.token) ${LT} (${micros("$4::text")}, $5::text)`),
    /** Ends a page of a user's sessions that began before an instant, in any order. */
    sweep: page(`(s.created IS NULL OR s.created ${LE} ${micros("$4::text")})`),
    /** Ends a page of a user's sessions beyond the limit. */
    trim: prepared(page("s.created IS NOT NULL", "OFFSET $4::text::int")),
  };
}
