import { CONCAT, CONTAINS, EQ, GT, LE, LT, NE, PLUS, regclass, TIMES, unlessEmpty } from "./catalog.ts";
import { type FenceStatements, fenceStatements } from "./fence.ts";
import { quoteLiteral, type TableName } from "./table-name.ts";
import type { Layout } from "./layout.ts";
import {
  canNote,
  hasColumns,
  hasOwners,
  instant,
  isFence,
  isFree,
  joinedBy,
  liveRow,
  micros,
  millisecondsOf,
  prepared,
  type Statement,
} from "./statements.ts";

/** The statements about users, on the columns that `migrate` adds. */
export interface UserStatements extends FenceStatements {
  create: Statement;
  renew: Statement;
  /** The same with tags, in a column that the others do without. */
  createTagged: Statement;
  renewTagged: Statement;
  /** Waits for the logins with a tag that are under way. */
  quiet: Statement;
  listByTag: Statement;
  list: Statement;
  /** Ends a page of a user's sessions, the newest ones, and notes that they are ended. */
  end: Statement;
  /** Ends a page of those that come after a place. */
  endPage: Statement;
  /** Ends a page of those that began before an instant, wherever they are. */
  sweep: Statement;
  /** Ends a page of those that are too many. */
  trim: Statement;
  /** Whether the table has the columns, or at least that of the user; and a history. */
  columns: Statement;
}

/**
 * A login and the end of a user's sessions notice each other by the user's row in a table of its own (docs/decisions/014).
 * Each locks it by writing when it came; and each compares what the other has written there with what was there when its
 * own statement began (the subquery, which sees the table as of then). A login that finds that the sessions were ended
 * meanwhile writes nothing; an end that finds a login may have missed its row, and is made again.
 */
export function userStatements(table: TableName, layout: Layout): UserStatements {
  const { token, data, expiry, successor, write } = layout;
  const { quoted, users } = table;
  const live = liveRow(layout);
  const entomb = (tombstone: string): string => `${data} = ${tombstone}, ${expiry} = current_timestamp`;
  /** @param mine - what this statement writes, `theirs` what it looks for, and `told` further columns */
  const notice = (user: string, mine: string, theirs: string, told: string, also = "", when = ""): string =>
    `notice AS (INSERT INTO ${users} AS f (user_id, ${mine}) SELECT ${user}, pg_catalog.clock_timestamp() ${when} ` +
    `ON CONFLICT (user_id) DO UPDATE SET ${mine} = greatest(pg_catalog.clock_timestamp(), f.${mine} ${PLUS} interval '1 microsecond') ` +
    `RETURNING COALESCE(f.${theirs}, '-infinity') ${GT} ` +
    `COALESCE((SELECT b.${theirs} FROM ${users} b WHERE b.user_id ${EQ} ${user}), '-infinity')${also} AS crossed, f.revoked AS revoked${told})`;
  // A statement's time is a little older than what it sees: by its time it must be a later one, too. An end that lies ahead of
  // the clock itself came before the clock was set back: what it ended has ended, and the user may log in again.
  const login = (user: string, tags: string): string =>
    (tags && `quiet AS MATERIALIZED (${tags}), `) +
    notice(
      user,
      "last_login",
      "revoked",
      "",
      ` OR COALESCE(f.revoked ${GT} current_timestamp AND f.revoked ${LE} pg_catalog.clock_timestamp(), false)`,
      tags && "FROM quiet WHERE quiet.free",
    );
  const lockOf = (tag: string): string =>
    `pg_catalog.hashtextextended((${quoteLiteral(`pgstore tag ${quoted} `)} ${CONCAT} ${tag}), 0)`;
  /**
   * A login holds a lock of each of its tags until it is committed. `quiet`, before a tag's sessions are ended, waits for these
   * locks. A login that comes while it waits finds the lock taken, and writes nothing.
   */
  const holding = (tags: string, condition: string): string =>
    "SELECT COALESCE(pg_catalog.bool_and(pg_catalog.pg_try_advisory_xact_lock_shared(" +
    `${lockOf("t.tag")})), true) AS free FROM pg_catalog.unnest(${tags}) AS t(tag) WHERE ${condition}`;
  const columns = `${token}, ${data}, ${expiry}, user_id, last_seen, created, ip, user_agent`;
  const insert = (values: string, from: string, tags: string): string =>
    `made AS (INSERT INTO ${quoted} AS s (${columns}${tags && ", tags"}) SELECT ${values}${tags && `, ${tags}`} FROM ${from} RETURNING 1)`;
  // In the order in which batches lock rows, so that these and those don't deadlock.
  const locked = (from: string): string =>
    `SELECT s.${token} AS token ${from} ORDER BY s.${token} COLLATE "C" FOR NO KEY UPDATE OF s`;
  /** Microseconds since 1970, exactly, as places are compared by them. */
  const microsOf = (at: string): string =>
    `pg_catalog.round((extract(epoch from ${at}) ${TIMES} 1000000::numeric), 0)::bigint::text`;
  // Logins are noted to the millisecond, rounded up.
  const bound = `, ${microsOf(`(f.revoked ${PLUS} interval '999 microseconds')`)} AS bound`;
  /**
   * Ends a page of a user's sessions but those that are spared, under whatever token they go on; tells which it has found, and which
   * of them it has not ended, as others were faster.
   */
  const page = (also: string | undefined, place: string, limit: string, offset = ""): string =>
    `spared AS (SELECT s.${token} AS token, ${successor} AS next FROM ${quoted} s WHERE s.${token} ${EQ} ANY ($2::text[]) ` +
    `UNION SELECT s.${token}, ${successor} FROM spared, ${quoted} s WHERE s.${token} ${EQ} spared.next), ` +
    `page AS (SELECT s.${token} AS token, s.created AS created FROM ${also === undefined ? "" : `${also}, `}${quoted} s ` +
    `WHERE s.user_id ${EQ} $1::text AND ${place} AND s.${token} ${NE} ALL (ARRAY(SELECT spared.token FROM spared)) ` +
    `AND ${live} ORDER BY s.created DESC, s.${token} DESC ${offset} LIMIT ${limit}::text::int), ` +
    `mine AS (${locked(`FROM ${quoted} s JOIN page ON ${joinedBy(token, "page")} WHERE ${live}`)}), ` +
    `ended AS (UPDATE ${quoted} s SET ${entomb(layout.revoked)} FROM mine WHERE ${joinedBy(token, "mine")} AND ${live} ` +
    `RETURNING s.${token} AS token) ` +
    // Not joined: it is taken for a single row, and each would be compared with each.
    `SELECT page.token AS token, ${microsOf("page.created")} AS created, 'false' AS ended` +
    (also === undefined
      ? " FROM page UNION ALL SELECT ended.token, NULL, 'true' FROM ended"
      : `, ${also}.crossed::text AS crossed, ${also}.bound AS bound FROM ${also} LEFT JOIN page ON true ` +
        "UNION ALL SELECT ended.token, NULL, 'true', NULL, NULL FROM ended");
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
    `WITH ${login("$4::text", tags && holding(tags, "true"))}, ` +
    `${insert(
      `$1::text, ${write("$2::text")}, ${instant("$3::text")}, $4::text, ${now}, ${now}, ${told(5)}, ${told(6)}`,
      `notice WHERE NOT crossed ON CONFLICT (${token}) DO NOTHING`,
      tags,
    )} ${outcome(tags, "$4::text", "$7")}`;
  // As `renew` without a user: a new token that is taken must not end the old row. A session that goes on holds no lock: the end of
  // its tag finds its old row or its new one.
  // It waits for a fence to be looked at first, which "1" says; a login is later than any.
  const renew = (tags: string): string =>
    `WITH ${login("$6::text", tags && holding(tags, `$9::text ${EQ} ''`))}, ` +
    `ended AS (UPDATE ${quoted} s SET ${entomb(layout.replacedBy("$2::text"))} FROM notice WHERE NOT notice.crossed AND s.${token} ${EQ} $1::text ` +
    `AND s.${data} ${EQ} ${write("$3::text")} AND ${live} AND ${isFree(quoted, token, "$2::text")} ` +
    `AND NOT ($9::text ${EQ} '1' AND EXISTS (SELECT FROM ${quoted} f WHERE ${isFence(layout, "f")})) ` +
    `RETURNING s.created, s.ip, s.user_agent), ` +
    `${insert(
      `$2::text, ${write("$4::text")}, ${instant("$5::text")}, $6::text, ${now}, ${kept("created", now)}, ` +
        `${kept("ip", told(7))}, ${kept("user_agent", told(8))}`,
      "ended, notice",
      tags,
    )} ${outcome(tags, "$6::text", "$10")}`;
  const texts = {
    create: create(""),
    renew: renew(""),
    createTagged: create("$8::text[]"),
    renewTagged: renew("$11::text[]"),
    quiet: `SELECT 'true' AS quiet FROM pg_catalog.pg_advisory_xact_lock(${lockOf("$1::text")})`,
    listByTag:
      `SELECT s.${token} AS token, s.user_id AS user_id FROM ${quoted} s ` +
      `WHERE s.tags ${CONTAINS} ARRAY[$1::text] AND ${live} LIMIT $2::text::int`,
    list:
      `SELECT s.${token} AS token, ${millisecondsOf("s.created")} AS created, ${millisecondsOf("s.last_seen")} AS last_seen, ` +
      `${millisecondsOf(`s.${expiry}`)} AS expiry, s.ip AS ip, s.user_agent AS user_agent FROM ${quoted} s ` +
      `WHERE s.user_id ${EQ} $1::text AND ${live} AND (s.created, s.${token}) ${LT} (${instant("$2::text")}, $3::text) ` +
      `ORDER BY s.created DESC, s.${token} DESC LIMIT $4::text::int`,
    end: `WITH RECURSIVE ${notice("$1::text", "revoked", "last_login", bound)}, ${page("notice", "true", "$3")}`,
    endPage: `WITH RECURSIVE ${page(undefined, `(s.created, s.${token}) ${LT} (${micros("$4::text")}, $5::text)`, "$3")}`,
    sweep: `WITH RECURSIVE ${page(undefined, `(s.created IS NULL OR s.created ${LE} ${micros("$4::text")})`, "$3")}`,
    trim: `WITH RECURSIVE ${page(undefined, "s.created IS NOT NULL", "$3", "OFFSET $4::text::int")}`,
    columns: `SELECT (${regclass(quoteLiteral(table.history))} IS NOT NULL)::text AS history, ${hasColumns(table)}::text AS users, ${hasOwners(table)}::text AS owners, ${canNote(table)}::text AS seen`,
  };
  return {
    ...fenceStatements(table, layout),
    create: prepared(texts.create),
    renew: prepared(texts.renew),
    createTagged: prepared(texts.createTagged),
    renewTagged: prepared(texts.renewTagged),
    quiet: { text: texts.quiet },
    listByTag: { text: texts.listByTag },
    list: { text: texts.list },
    end: { text: texts.end },
    endPage: { text: texts.endPage },
    sweep: { text: texts.sweep },
    trim: prepared(texts.trim),
    columns: { text: texts.columns },
  };
}
