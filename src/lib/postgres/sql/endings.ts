import { EQ, GE, GT } from "./catalog.ts";
import { endedPage, entomb, instant, joinedBy, liveRow } from "./fragments.ts";
import type { Layout } from "./layout.ts";
import type { TableName } from "./table-name.ts";

/** Makes the statements that end sessions even if they have been renewed. */
export function endingStatements({ quoted: table }: TableName, layout: Layout) {
  const { token, data, expiry, successor, typed } = layout;
  const live = liveRow(layout);
  const tombstone = `CASE WHEN $2::text ${EQ} 'revoked' THEN ${layout.revoked} ELSE ${layout.destroyed} END`;
  const chain = (mine: string, from: string): string =>
    `WITH RECURSIVE chain AS (SELECT s.${token} AS token, ${successor} AS next, (${mine})::text AS live ` +
    `FROM ${table} s WHERE s.${token} ${EQ} ${from} AND ${typed} ` +
    `UNION SELECT s.${token}, ${successor}, (${mine})::text FROM chain, ${table} s WHERE ${joinedBy(token, "chain.next")})`;
  const terminate = (mine: string): string =>
    `${chain(mine, "$1::text")}, gone AS (UPDATE ${table} s SET ${entomb(layout, tombstone)} FROM chain ` +
    `WHERE s.${token} ${EQ} chain.token AND chain.live ${EQ} 'true' AND ${mine} RETURNING s.${token} AS token) ` +
    `SELECT chain.token AS token, EXISTS (SELECT FROM gone)::text AS ended FROM chain WHERE chain.live ${EQ} 'true'`;
  // A session renewed since the start may continue under an id that sorts before this page.
  const renewed = `(${successor} IS NOT NULL AND s.${expiry} ${GE} ${instant("$3::text")})`;
  return {
    terminate: terminate(live),
    /** Ends the session only if it belongs to a given user. */
    terminateOwned: terminate(`(${live} AND s.user_id ${EQ} $3::text)`),
    /** Ends a page of all sessions. Returns the ids that it found and those that it ended. */
    terminatePage:
      `WITH page AS (SELECT s.${token} AS token FROM ${table} s WHERE s.${token} ${GT} $1::text ` +
      `AND ((${live}) OR ${renewed}) ORDER BY s.${token} LIMIT $2::text::int), ${endedPage(table, layout)} ` +
      "SELECT page.token AS token, 'false' AS ended FROM page UNION ALL SELECT ended.token, 'true' FROM ended",
    /** Finds the ids under which sessions are live after renewals. */
    follow: `${chain(live, "ANY ($1::text[])")} SELECT chain.token AS token FROM chain WHERE chain.live ${EQ} 'true'`,
    supersede:
      `UPDATE ${table} s SET ${data} = ${layout.replacedBy("$2::text")} ` +
      `WHERE s.${token} ${EQ} $1::text AND s.${data} ${EQ} ${layout.revoked} AND ${layout.ended} RETURNING s.${token} AS token`,
  };
}
