import { FENCE_ID } from "../../core/token.ts";
import { CONCAT, EQ, LT } from "./catalog.ts";
import type { Layout } from "./layout.ts";
import { isFence, joinedBy, liveRow, micros, type Statement } from "./fragments.ts";
import type { TableName } from "./table-name.ts";

/**
 * The statements of the fence: a row of the table of sessions that lists sessions which are over before their rows are ended.
 *
 * It exists while a user's sessions are ended page by page, so that they are all over at once. Its data are lines of JSON, one
 * `FencedEnd` each. Its expiry is in 1970, so that lists, counts and SCS skip it. Why: docs/decisions/029.
 */
export interface FenceStatements {
  /** Adds an end. */
  raiseFence: Statement;
  /** Removes an end. */
  lowerFence: Statement;
  /** Removes the row when no end is left. */
  dropFence: Statement;
  /** Lists the ends. */
  fencedEnds: Statement;
  /** Says of live rows whether they are behind the fence. Returns no rows when there is no fence. */
  behindFence: Statement;
}

/** An end of a user's sessions after a place in the order of their pages, with exceptions. */
export interface FencedEnd {
  user: string;
  /** Microseconds since 1970. */
  created: string;
  /** The id at that place. "" means all sessions, including those without a recorded login. */
  id: string;
  except: readonly string[];
}

export function fenceStatements({ quoted: table }: TableName, layout: Layout): FenceStatements {
  const { token, data, expiry, successor } = layout;
  const newline = "pg_catalog.chr(10)";
  const lines = `pg_catalog.string_to_array(pg_catalog.convert_from(f.${data}, 'UTF8'::name), ${newline})`;
  const others = `pg_catalog.array_remove(${lines}, $1::text)`;
  const written = (entries: string): string =>
    `pg_catalog.convert_to(pg_catalog.array_to_string(${entries}, ${newline}), 'UTF8'::name)`;
  const entries = `${table} f CROSS JOIN LATERAL pg_catalog.unnest(${lines}) WITH ORDINALITY AS e(entry, n) WHERE ${isFence(layout, "f")}`;
  const says = (name: keyof FencedEnd): string => `pg_catalog.jsonb_extract_path_text(entry.entry, '${name}')`;
  const tokens = "ROWS FROM (pg_catalog.unnest($1::text[])) AS v(token)";
  const texts = {
    raiseFence:
      `INSERT INTO ${table} AS f (${token}, ${data}, ${expiry}) VALUES ('${FENCE_ID}', ${written("ARRAY[$1::text]")}, 'epoch') ` +
      `ON CONFLICT (${token}) DO UPDATE SET ${data} = ${written(`pg_catalog.array_append(${others}, $1::text)`)}`,
    lowerFence: `UPDATE ${table} f SET ${data} = ${written(others)} WHERE ${isFence(layout, "f")}`,
    dropFence: `DELETE FROM ${table} f WHERE ${isFence(layout, "f")} AND pg_catalog.octet_length(f.${data}) ${EQ} 0`,
    fencedEnds: `SELECT e.entry AS entry FROM ${entries}`,
    // An exception names the present id of a session, or an earlier one that was renewed.
    behindFence:
      `WITH RECURSIVE entry AS MATERIALIZED (SELECT e.n AS n, e.entry::jsonb AS entry FROM ${entries}), ` +
      `held AS (SELECT s.${token} AS token, entry.n AS n FROM ${tokens}, ${table} s, entry WHERE ${joinedBy(token)} ` +
      `AND s.user_id ${EQ} ${says("user")} AND ((s.created, s.${token}) ${LT} (${micros(says("created"))}, ${says("id")}) ` +
      `OR s.created IS NULL AND ${says("id")} ${EQ} '')), ` +
      `spared AS (SELECT entry.n AS n, s.${token} AS token, ${successor} AS next FROM entry CROSS JOIN LATERAL ` +
      `pg_catalog.jsonb_array_elements_text(pg_catalog.jsonb_extract_path(entry.entry, 'except')) AS x(token), ${table} s ` +
      `WHERE ${joinedBy(token, "x")} AND EXISTS (SELECT FROM held WHERE held.n ${EQ} entry.n) ` +
      `UNION SELECT spared.n, s.${token}, ${successor} FROM spared, ${table} s ` +
      `WHERE s.${token} ${EQ} spared.next AND (spared.next ${CONCAT} '') ${EQ} spared.next) ` +
      `SELECT s.${token} AS token, (EXISTS (SELECT FROM held WHERE held.token ${EQ} s.${token} AND NOT EXISTS (SELECT FROM spared ` +
      `WHERE spared.n ${EQ} held.n AND spared.token ${EQ} held.token)))::text AS behind ` +
      `FROM ${tokens}, ${table} s WHERE ${joinedBy(token)} AND ${liveRow(layout)} ` +
      `AND EXISTS (SELECT FROM ${table} f WHERE ${isFence(layout, "f")})`,
  };
  return {
    raiseFence: { text: texts.raiseFence },
    lowerFence: { text: texts.lowerFence },
    dropFence: { text: texts.dropFence },
    fencedEnds: { text: texts.fencedEnds },
    behindFence: { text: texts.behindFence },
  };
}
