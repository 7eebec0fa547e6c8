import { CONCAT, EQ, GT, LE, NE, PLUS, unlessEmpty } from "./catalog.ts";
import { entomb, instant, isFence, isFree, liveRow, prepared } from "./fragments.ts";
import type { Layout } from "./layout.ts";
import type { Operation } from "./operation.ts";
import { quoteLiteral, type TableName } from "./table-name.ts";

/**
 * SQL that notes in a user's row when a login or an end came.
 *
 * @param users - the table of users, quoted
 * @param mine - what this statement writes, `theirs` what it looks for, and `told` further columns
 */
export const notice = (
  users: string,
  user: string,
  mine: string,
  theirs: string,
  told: string,
  also = "",
  when = "",
): string =>
  `notice AS (INSERT INTO ${users} AS f (user_id, ${mine}) SELECT ${user}, pg_catalog.clock_timestamp() ${when} ` +
  `ON CONFLICT (user_id) DO UPDATE SET ${mine} = greatest(pg_catalog.clock_timestamp(), f.${mine} ${PLUS} interval '1 microsecond') ` +
  `RETURNING COALESCE(f.${theirs}, '-infinity') ${GT} ` +
  `COALESCE((SELECT b.${theirs} FROM ${users} b WHERE b.user_id ${EQ} ${user}), '-infinity')${also} AS crossed, f.revoked AS revoked${told})`;

/** SQL of the advisory lock of a tag. @param table - quoted */
export const lockOf = (table: string, tag: string): string =>
  `pg_catalog.hashtextextended((${quoteLiteral(`pgstore tag ${table} `)} ${CONCAT} ${tag}), 0)`;

/** What writes a session with its user. With tags, which are in a column that the others do without. */
export type LoginKind = "createFor" | "renewFor" | "createTagged" | "renewTagged";

/**
 * A login and the end of a user's sessions notice each other by the user's row in a table of its own (docs/decisions/014).
 * Each locks it by writing when it came; and each compares what the other has written there with what was there when its
 * own statement began (the subquery, which sees the table as of then). A login that finds that the sessions were ended
 * meanwhile writes nothing; an end that finds a login may have missed its row, and is made again.
 */
export function loginOperations(table: TableName, layout: Layout): Record<LoginKind, Operation> {
  const { token, data, expiry, write } = layout;
  const { quoted, users } = table;
  const live = liveRow(layout);
  // A statement's time is a little older than what it sees: by its time it must be a later one, too. An end that lies ahead of
  // the clock itself came before the clock was set back: what it ended has ended, and the user may log in again.
  const noticed = (user: string, tags: string): string =>
    (tags && `quiet AS MATERIALIZED (${tags}), `) +
    notice(
      users,
      user,
      "last_login",
      "revoked",
      "",
      ` OR COALESCE(f.revoked ${GT} current_timestamp AND f.revoked ${LE} pg_catalog.clock_timestamp(), false)`,
      tags && "FROM quiet WHERE quiet.free",
    );
  /**
   * A login holds a lock of each of its tags until it is committed. `quiet`, before a tag's sessions are ended, waits for these
   * locks. A login that comes while it waits finds the lock taken, and writes nothing.
   */
  const holding = (tags: string, condition: string): string =>
    "SELECT COALESCE(pg_catalog.bool_and(pg_catalog.pg_try_advisory_xact_lock_shared(" +
    `${lockOf(quoted, "t.tag")})), true) AS free FROM pg_catalog.unnest(${tags}) AS t(tag) WHERE ${condition}`;
  const columns = `${token}, ${data}, ${expiry}, user_id, last_seen, created, ip, user_agent`;
  const insert = (values: string, from: string, tags: string): string =>
    `made AS (INSERT INTO ${quoted} AS s (${columns}${tags && ", tags"}) SELECT ${values}${tags && `, ${tags}`} FROM ${from} RETURNING 1)`;
  // To the millisecond, so that it can be told exactly where a page begins; and not before an end that it came after.
  const toMillisecond = (time: string): string =>
    `pg_catalog.date_trunc('milliseconds', ${time} ${PLUS} interval '999 microseconds')`;
  const now = toMillisecond("greatest(current_timestamp, notice.revoked)");
  const told = (parameter: number): string => unlessEmpty(`$${parameter}::text`);
  /** What is known of the login stays with a session that goes on. */
  const kept = (column: string, otherwise: string): string =>
    `CASE WHEN $9::text ${NE} '' THEN COALESCE(ended.${column}, ${otherwise}) ELSE ${otherwise} END`;
  /** @param others - how many live sessions the user may have beside this one; "": nobody asks */
  const outcome = (tags: string, user: string, others: string): string =>
    `SELECT notice.crossed::text AS crossed, EXISTS (SELECT FROM made)::text AS done, CASE WHEN ${others}::text ${NE} '' ` +
    `THEN NOT EXISTS (SELECT FROM ${quoted} s WHERE s.user_id ${EQ} ${user} AND ${live} ORDER BY s.created DESC, s.${token} DESC ` +
    `OFFSET (${unlessEmpty(`${others}::text`)})::int) ELSE false END::text AS few FROM notice` +
    (tags && " UNION ALL SELECT 'true', 'false', 'false' FROM quiet WHERE NOT quiet.free");
  /** @param tags - SQL of them; "": none */
  const create = (tags: string): string =>
    `WITH ${noticed("$4::text", tags && holding(tags, "true"))}, ` +
    `${insert(
      `$1::text, ${write("$2::text")}, ${instant("$3::text")}, $4::text, ${now}, ${now}, ${told(5)}, ${told(6)}`,
      `notice WHERE NOT crossed ON CONFLICT (${token}) DO NOTHING`,
      tags,
    )} ${outcome(tags, "$4::text", "$7")}`;
  // As `renew` without a user: a new id that is taken must not end the old row. A session that goes on holds no lock: the end of
  // its tag finds its old row or its new one.
  // It waits for a fence to be looked at first, which "1" says; a login is later than any.
  const renew = (tags: string): string =>
    `WITH ${noticed("$6::text", tags && holding(tags, `$9::text ${EQ} ''`))}, ` +
    `ended AS (UPDATE ${quoted} s SET ${entomb(layout, layout.replacedBy("$2::text"))} FROM notice WHERE NOT notice.crossed AND s.${token} ${EQ} $1::text ` +
    `AND s.${data} ${EQ} ${write("$3::text")} AND ${live} AND ${isFree(quoted, token, "$2::text")} ` +
    `AND NOT ($9::text ${EQ} '1' AND EXISTS (SELECT FROM ${quoted} f WHERE ${isFence(layout, "f")})) ` +
    `RETURNING s.created, s.ip, s.user_agent), ` +
    `${insert(
      `$2::text, ${write("$4::text")}, ${instant("$5::text")}, $6::text, ${now}, ${kept("created", now)}, ` +
        `${kept("ip", told(7))}, ${kept("user_agent", told(8))}`,
      "ended, notice",
      tags,
    )} ${outcome(tags, "$6::text", "$10")}`;

  // Never made again when the answer is lost: it would be a later login than the end of the user's sessions that may have refused it.
  const login = (event: "create" | "renew", columns: string[], text: string): Operation => ({
    columns,
    isShared: false,
    statement: prepared(text),
    whenLost: "look",
    event,
    ...(event === "create" ? { counts: "created" } : {}),
  });
  const created = ["token", "data", "expiry", "user_id", "ip", "user_agent", "others"];
  const renewed = [
    "token",
    "new_token",
    "previous",
    "data",
    "expiry",
    "user_id",
    "ip",
    "user_agent",
    "goes_on",
    "others",
  ];
  return {
    createFor: login("create", created, create("")),
    renewFor: login("renew", renewed, renew("")),
    createTagged: login("create", [...created, "tags"], create("$8::text[]")),
    renewTagged: login("renew", [...renewed, "tags"], renew("$11::text[]")),
  };
}
