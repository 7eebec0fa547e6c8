import { CONCAT, EQ, GT, LE, NE, PLUS, unlessEmpty } from "./catalog.ts";
import { entomb, instant, isFence, isFree, liveRow, prepared } from "./fragments.ts";
import { scsLayout } from "./layout.ts";
import type { Operation } from "./operation.ts";
import { DETAIL_COLUMNS } from "./tables.ts";
import { quoteLiteral, type TableName } from "./table-name.ts";

/**
 * SQL that records the time of a login, or of an end of all sessions, in the user's row.
 *
 * @param users - the table of users, quoted
 * @param mine - the column that this statement writes. It compares the other one
 * @param more - SQL to add: `also` to the condition `crossed`, `when` to the source of the row, `told` to the result
 */
export function notice(
  users: string,
  user: string,
  mine: "last_login" | "revoked",
  { also = "", when = "", told = "" }: { also?: string; when?: string; told?: string },
): string {
  const theirs = mine === "revoked" ? "last_login" : "revoked";
  return (
    `notice AS (INSERT INTO ${users} AS f (user_id, ${mine}) SELECT ${user}, pg_catalog.clock_timestamp() ${when} ` +
    `ON CONFLICT (user_id) DO UPDATE SET ${mine} = greatest(pg_catalog.clock_timestamp(), f.${mine} ${PLUS} interval '1 microsecond') ` +
    `RETURNING COALESCE(f.${theirs}, '-infinity') ${GT} ` +
    `COALESCE((SELECT b.${theirs} FROM ${users} b WHERE b.user_id ${EQ} ${user}), '-infinity')${also} AS crossed, f.revoked AS revoked${told})`
  );
}

/** SQL of the advisory lock of a tag. @param table - quoted */
export const lockOf = (table: string, tag: string): string =>
  `pg_catalog.hashtextextended((${quoteLiteral(`pgstore tag ${table} `)} ${CONCAT} ${tag}), 0)`;

/** Makes the SQL of the parameter for a column. */
type Parameter = (column: string, type?: string) => string;

/** The writes of a session with its user, with or without tags. */
export type LoginKind = "createFor" | "renewFor" | "createTagged" | "renewTagged";

/**
 * Makes the operations of a login.
 *
 * A login and the end of a user's sessions notice each other by the user's row in the table of users (docs/decisions/014).
 * Each locks the row by writing its own time, then compares the other's time with the one at the start of its statement,
 * which the subquery sees. A login that finds a new end writes nothing. An end that finds a new login may have missed its
 * row, and is repeated.
 */
export function loginOperations(table: TableName): Record<LoginKind, Operation> {
  const { write } = scsLayout;
  const { quoted, users } = table;
  const live = liveRow(scsLayout);
  // A statement's time is a little older than its snapshot, so an end must also be earlier than that time. An end ahead of the
  // clock came before the clock was set back: its sessions are over, and the user may log in again.
  const noticed = (user: string, tags: string): string =>
    (tags && `quiet AS MATERIALIZED (${tags}), `) +
    notice(users, user, "last_login", {
      also: ` OR COALESCE(f.revoked ${GT} current_timestamp AND f.revoked ${LE} pg_catalog.clock_timestamp(), false)`,
      when: tags && "FROM quiet WHERE quiet.free",
    });
  /**
   * A login holds a lock for each of its tags until it commits. Before a tag's sessions are ended, `quiet` waits for these
   * locks. A login that comes while it waits finds the lock taken and writes nothing.
   */
  const holding = (tags: string, condition: string): string =>
    "SELECT COALESCE(pg_catalog.bool_and(pg_catalog.pg_try_advisory_xact_lock_shared(" +
    `${lockOf(quoted, "t.tag")})), true) AS free FROM pg_catalog.unnest(${tags}) AS t(tag) WHERE ${condition}`;
  const columns = `token, data, expiry, user_id, last_seen, created, ${DETAIL_COLUMNS.join(", ")}`;
  const insert = (values: string, from: string, tags: string): string =>
    `made AS (INSERT INTO ${quoted} AS s (${columns}${tags && ", tags"}) SELECT ${values}${tags && `, ${tags}`} FROM ${from} RETURNING 1)`;
  // Rounded up to a millisecond, so that the place of a page is exact, and never before an end that came earlier.
  const toMillisecond = (time: string): string =>
    `pg_catalog.date_trunc('milliseconds', ${time} ${PLUS} interval '999 microseconds')`;
  const now = toMillisecond("greatest(current_timestamp, notice.revoked)");
  /** @param others - SQL of the number of other live sessions that the user may have, or of "" for no limit */
  const outcome = (tags: string, user: string, others: string): string =>
    `SELECT notice.crossed::text AS crossed, EXISTS (SELECT FROM made)::text AS done, CASE WHEN ${others} ${NE} '' ` +
    `THEN NOT EXISTS (SELECT FROM ${quoted} s WHERE s.user_id ${EQ} ${user} AND ${live} ORDER BY s.created DESC, s.token DESC ` +
    `OFFSET (${unlessEmpty(others)})::int) ELSE false END::text AS few FROM notice` +
    (tags && " UNION ALL SELECT 'true', 'false', 'false' FROM quiet WHERE NOT quiet.free");
  /** @param of - makes the SQL of a parameter. @param tags - SQL of the tags, or "" for a login without tags */
  const create = (of: Parameter, tags: string): string =>
    `WITH ${noticed(of("user_id"), tags && holding(tags, "true"))}, ` +
    `${insert(
      `${of("token")}, ${write(of("data"))}, ${instant(of("expiry"))}, ${of("user_id")}, ${now}, ${now}, ` +
        DETAIL_COLUMNS.map((name) => unlessEmpty(of(name))).join(", "),
      `notice WHERE NOT crossed ON CONFLICT (token) DO NOTHING`,
      tags,
    )} ${outcome(tags, of("user_id"), of("others"))}`;
  // A taken new id must not end the old row. A renewal takes no tag lock: the end of its tag finds its old or new row.
  // With goes_on "1" a renewal writes nothing while there is a fence. A login is later than any fence.
  const renew = (of: Parameter, tags: string): string => {
    const goesOn = of("goes_on");
    // A renewal keeps the details of its login.
    const kept = (column: string, otherwise: string): string =>
      `CASE WHEN ${goesOn} ${NE} '' THEN COALESCE(ended.${column}, ${otherwise}) ELSE ${otherwise} END`;
    return (
      `WITH ${noticed(of("user_id"), tags && holding(tags, `${goesOn} ${EQ} ''`))}, ` +
      `ended AS (UPDATE ${quoted} s SET ${entomb(scsLayout, scsLayout.replacedBy(of("new_token")))} FROM notice WHERE NOT notice.crossed AND s.token ${EQ} ${of("token")} ` +
      `AND s.data ${EQ} ${write(of("previous"))} AND ${live} AND ${isFree(quoted, "token", of("new_token"))} ` +
      `AND NOT (${goesOn} ${EQ} '1' AND EXISTS (SELECT FROM ${quoted} f WHERE ${isFence("f")})) ` +
      `RETURNING s.created, ${DETAIL_COLUMNS.map((name) => `s.${name}`).join(", ")}), ` +
      `${insert(
        `${of("new_token")}, ${write(of("data"))}, ${instant(of("expiry"))}, ${of("user_id")}, ${now}, ${kept("created", now)}, ` +
          DETAIL_COLUMNS.map((name) => kept(name, unlessEmpty(of(name)))).join(", "),
        "ended, notice",
        tags,
      )} ${outcome(tags, of("user_id"), of("others"))}`
    );
  };

  // Never repeated when the answer is lost: the end of the user's sessions may have refused it, and a repetition would be later.
  const login = (event: "create" | "renew", more: readonly string[]): Operation => {
    const keys = event === "create" ? ["token"] : ["token", "new_token", "previous"];
    const columns = [
      ...keys,
      "data",
      "expiry",
      "user_id",
      ...DETAIL_COLUMNS,
      ...(event === "renew" ? ["goes_on"] : []),
      ...more,
    ];
    const of: Parameter = (name, type = "text") => `$${columns.indexOf(name) + 1}::${type}`;
    const tags = more.includes("tags") ? of("tags", "text[]") : "";
    return {
      columns,
      isShared: false,
      statement: prepared(event === "create" ? create(of, tags) : renew(of, tags)),
      whenLost: "look",
      event,
      ...(event === "create" ? { counts: "created" } : {}),
    };
  };
  return {
    createFor: login("create", ["others"]),
    renewFor: login("renew", ["others"]),
    createTagged: login("create", ["others", "tags"]),
    renewTagged: login("renew", ["others", "tags"]),
  };
}
