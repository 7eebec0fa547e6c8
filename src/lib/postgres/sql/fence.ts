import { FENCE_ID } from "../../core/token.ts";
import { EQ, LT } from "./catalog.ts";
import { scsLayout } from "./layout.ts";
import { isFence, joinedBy, liveRow, micros } from "./fragments.ts";
import type { TableName } from "./table-name.ts";

/** An end of a user's sessions after a place in the order of their pages, with exceptions. */
export interface FencedEnd {
  user: string;
  /** Microseconds since 1970. */
  created: string;
  /** The id at that place. "" means all sessions, including those without a recorded login. */
  id: string;
  except: readonly string[];
}

/**
 * Makes the statements of the fence: a row of the table of sessions that lists sessions which are over before their rows are
 * ended.
 *
 * It exists while a user's sessions are ended page by page, so that they are all over at once. Its data are lines of JSON, one
 * `FencedEnd` each. Its expiry is in 1970, so that lists, counts and SCS skip it. Why: docs/decisions/029.
 */
export function fenceStatements({ quoted: table }: TableName) {
  const { successor } = scsLayout;
  const newline = "pg_catalog.chr(10)";
  const lines = `pg_catalog.string_to_array(pg_catalog.convert_from(f.data, 'UTF8'::name), ${newline})`;
  const others = `pg_catalog.array_remove(${lines}, $1::text)`;
  const written = (entries: string): string =>
    `pg_catalog.convert_to(pg_catalog.array_to_string(${entries}, ${newline}), 'UTF8'::name)`;
  const entries = `${table} f CROSS JOIN LATERAL pg_catalog.unnest(${lines}) WITH ORDINALITY AS e(entry, n) WHERE ${isFence("f")}`;
  const says = (name: keyof FencedEnd): string => `pg_catalog.jsonb_extract_path_text(entry.entry, '${name}')`;
  const tokens = "ROWS FROM (pg_catalog.unnest($1::text[])) AS v(token)";
  return {
    /** Adds an end. */
    raiseFence:
      `INSERT INTO ${table} AS f (token, data, expiry) VALUES ('${FENCE_ID}', ${written("ARRAY[$1::text]")}, 'epoch') ` +
      `ON CONFLICT (token) DO UPDATE SET data = ${written(`pg_catalog.array_append(${others}, $1::text)`)}`,
    /** Removes an end. */
    lowerFence: `UPDATE ${table} f SET data = ${written(others)} WHERE ${isFence("f")}`,
    /** Removes the row when no end is left. */
    dropFence: `DELETE FROM ${table} f WHERE ${isFence("f")} AND pg_catalog.octet_length(f.data) ${EQ} 0`,
    /** Lists the ends. */
    fencedEnds: `SELECT e.entry AS entry FROM ${entries}`,
    /**
     * Tells whether live rows are behind the fence. Returns no rows when there is no fence. An exception names the
     * present id of a session, or one from before a renewal.
     */
    behindFence:
      `WITH RECURSIVE entry AS MATERIALIZED (SELECT e.n AS n, e.entry::jsonb AS entry FROM ${entries}), ` +
      `held AS (SELECT s.token AS token, entry.n AS n FROM ${tokens}, ${table} s, entry WHERE ${joinedBy("token")} ` +
      `AND s.user_id ${EQ} ${says("user")} AND ((s.created, s.token) ${LT} (${micros(says("created"))}, ${says("id")}) ` +
      `OR s.created IS NULL AND ${says("id")} ${EQ} '')), ` +
      `spared AS (SELECT entry.n AS n, s.token AS token, ${successor} AS next FROM entry CROSS JOIN LATERAL ` +
      `pg_catalog.jsonb_array_elements_text(pg_catalog.jsonb_extract_path(entry.entry, 'except')) AS x(token), ${table} s ` +
      `WHERE ${joinedBy("token", "x.token")} AND EXISTS (SELECT FROM held WHERE held.n ${EQ} entry.n) ` +
      `UNION SELECT spared.n, s.token, ${successor} FROM spared, ${table} s WHERE ${joinedBy("token", "spared.next")}) ` +
      `SELECT s.token AS token, (EXISTS (SELECT FROM held WHERE held.token ${EQ} s.token AND NOT EXISTS (SELECT FROM spared ` +
      `WHERE spared.n ${EQ} held.n AND spared.token ${EQ} held.token)))::text AS behind ` +
      `FROM ${tokens}, ${table} s WHERE ${joinedBy("token")} AND ${liveRow(scsLayout)} ` +
      `AND EXISTS (SELECT FROM ${table} f WHERE ${isFence("f")})`,
  };
}
