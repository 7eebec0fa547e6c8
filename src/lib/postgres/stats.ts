import {
  type AddressPage,
  type FoundSession,
  type HistoryPoint,
  MAX_SORTED_ROWS,
  type StoreOperations,
  type StorePlace,
  type StoreStats,
  type UserEntry,
  type UserPage,
  type UserQuery,
} from "../core/stats.ts";
import { isId } from "../core/token.ts";
import { type Row, textOf } from "./drivers/driver.ts";
import type { Engine } from "./execution/database.ts";
import { WITHIN } from "./sql/stats.ts";
import { detailsIn } from "./sql/tables.ts";
import { arrayText, readInstant } from "./sql/text-format.ts";

/** Rows that are counted. A larger table is estimated from a sample of this size, the same rows at each call. */
const MAX_COUNTED_ROWS = 200_000;
/** Assumed bytes of a row in a table that was never analysed. */
const ROW_BYTES = 250;
/** Rows that one statement of a search by address reads: few enough for a cold disk to do it within the time limit of a query. */
const SCANNED_ROWS = 10_000;
/** Milliseconds after which a search by address begins no more statements. */
const MAX_SCAN_MS = 2000;
/** Characters of an id by which its session is found. Pages and the command line show as many. */
const MIN_CHARACTERS = 12;
/** Characters of the id at which a search stopped. The ids of sessions have 43. */
const PLACE_CHARACTERS = 8;

/** Figures and searches of a PgStore for operators. Each call reads a bounded number of rows, regardless of the table's size. */
export class Operations implements StoreOperations {
  readonly #engine: Engine;
  readonly #host: string | undefined;
  #place: StorePlace | undefined;

  /** Creates the figures and searches of an engine's table. @param host - of the database, as the client knows it */
  constructor(engine: Engine, host: string | undefined) {
    this.#engine = engine;
    this.#host = host;
  }

  async stats(): Promise<StoreStats> {
    const { run, sql } = this.#engine;
    // One statement at a time, to leave connections to the application.
    const { history, users: hasUsers } = await this.#engine.probe();
    const [size] = await run(sql.size);
    const analysed = Number(size?.["rows"] ?? -1);
    const rows = analysed < 0 ? Number(size?.["heap"] ?? 0) / ROW_BYTES : analysed;
    const percent = rows <= MAX_COUNTED_ROWS ? undefined : (100 * MAX_COUNTED_ROWS) / rows;
    const [counted] = await run(sql.counted(percent, hasUsers));
    const [backlog] = await run(sql.backlog);
    const [last] = history ? await run(sql.lastCleanup) : [];
    const number = (column: string): number => Math.round((Number(counted?.[column]) * 100) / (percent ?? 100));
    const live = number("live");
    const loggedIn = hasUsers ? number("logged_in") : undefined;
    return {
      live,
      loggedIn,
      users: loggedIn === undefined ? undefined : usersIn(counted, loggedIn, Number(textOf(size, "different")), rows),
      expired: Number(backlog?.["count"]),
      isEstimate: percent !== undefined,
      expiring: [...WITHIN, Number.POSITIVE_INFINITY].map((within, n) => {
        const upTo = n < WITHIN.length ? number(`within_${n}`) : live;
        return { within, count: Math.max(0, upTo - (n === 0 ? 0 : number(`within_${n - 1}`))) };
      }),
      tableBytes: Number(textOf(size, "bytes")),
      indexBytes: Number(textOf(size, "indexes")),
      cleanup: last && { at: readInstant(last["at"]), removed: Number(last["removed"]), took: Number(last["took"]) },
    };
  }

  async history(since: Date, points: number): Promise<HistoryPoint[]> {
    const begin = since.getTime();
    const length = ((await this.#engine.now()) - begin) / points;
    if (!(length > 0) || !Number.isInteger(points))
      throw new TypeError(
        `history: expected a past date and a whole number of points, got ${String(since)} and ${points}`,
      );
    const { history } = await this.#engine.probe();
    const rows = history ? await this.#engine.run(this.#engine.sql.history, [String(begin), String(length)]) : [];
    const found = new Map(rows.map((row) => [Math.min(Number(row["n"]), points - 1), row]));
    const counted = (text: string | null | undefined): number | undefined => (text == null ? undefined : Number(text));
    return Array.from({ length: points }, (_, n) => {
      const row = found.get(n);
      return {
        at: new Date(begin + n * length),
        length,
        created: Number(row?.["created"] ?? 0),
        ended: Number(row?.["ended"] ?? 0),
        removed: Number(row?.["removed"] ?? 0),
        live: counted(row?.["live"]),
        users: counted(row?.["users"]),
      };
    });
  }

  async searchUsers(prefix: string, limit: number, after?: string): Promise<UserEntry[]> {
    return (await this.listUsers({ prefix, limit, after })).users;
  }

  async listUsers({ prefix = "", order = "name", limit, after, before, offset = 0 }: UserQuery): Promise<UserPage> {
    const { run, sql } = this.#engine;
    const pattern = patternOf(prefix);
    if (order === "name") {
      const isBackwards = before !== undefined && after === undefined;
      const statement = isBackwards ? sql.usersBefore : sql.usersAfter;
      const rows = await run(statement, [pattern, before ?? after ?? "", String(limit)]);
      const users = rows.map(userIn);
      return { users: isBackwards ? users.toReversed() : users, sorted: "all" };
    }
    const rows = order === "sessions" && prefix === "" ? await this.#rows() : 0;
    const isSample = rows > MAX_SORTED_ROWS;
    const ranking = isSample ? sql.bySessionsIn((100 * MAX_SORTED_ROWS) / rows) : sql.bySessions;
    const statement = order === "lastLogin" ? sql.byLogin : ranking;
    const found = await run(statement, [pattern, String(limit), String(offset)]);
    const isCut = Number(textOf(found[0], "read")) >= MAX_SORTED_ROWS;
    const users = found.map(userIn);
    if (isSample) return { users: users.toSorted((a, b) => b.sessions - a.sessions), sorted: "sample" };
    return { users, sorted: isCut ? "some" : "all" };
  }

  async countUsers(prefix: string, limit: number): Promise<number> {
    const [row] = await this.#engine.run(this.#engine.sql.countUsers, [patternOf(prefix), String(limit)]);
    return Number(row?.["count"]);
  }

  async countSessions(userId: string): Promise<number> {
    const [row] = await this.#engine.run(this.#engine.sql.countSessions, [userId]);
    return Number(row?.["count"]);
  }

  async findSession(id: string): Promise<FoundSession | undefined> {
    if (!isId(id)) return undefined;
    const { run, sql } = this.#engine;
    const [row] = await run(sql.sessionById, [id]);
    if (row !== undefined) return sessionIn(row);
    if (!/^[\w-]+$/.test(id) || id.length < MIN_CHARACTERS) return undefined;
    const next = await run(sql.sessionsFrom, [id]);
    const found = next.find((row) => row["id"]?.startsWith(id) === true);
    return found && sessionIn(found);
  }

  async findByAddress(addresses: readonly string[], limit: number, after = ""): Promise<AddressPage> {
    const { run, sql } = this.#engine;
    const wanted = arrayText(addresses);
    const rows = await this.#rows();
    const [index] = await run(sql.hasAddressIndex);
    if (index?.["found"] === "true") {
      const found = await run(sql.byAddress, [wanted, String(limit)]);
      return { sessions: found.map(sessionIn), next: undefined, read: 0, rows };
    }
    const end = performance.now() + MAX_SCAN_MS;
    const sessions: FoundSession[] = [];
    const { beginning, listed } = readPlace(after);
    let [last, read, again] = [beginning, 0, listed];
    const placeOf = (id: string): string => {
      const text = id.slice(0, PLACE_CHARACTERS);
      const more = sessions.filter((session) => session.id.startsWith(text)).length;
      return `${more + (text === beginning ? listed : 0)}.${text}`;
    };
    do {
      const [bound] = await run(sql.nextRows, [last, String(SCANNED_ROWS)]);
      const count = Number(textOf(bound, "count"));
      if (count === 0) return { sessions, next: undefined, read, rows };
      const upTo = textOf(bound, "last");
      const missing = limit - sessions.length;
      const found = await run(sql.byAddressBetween, [wanted, last, upTo, String(missing + again)]);
      for (const session of found.map(sessionIn)) {
        // A session that was listed before may have ended since.
        if (again > 0 && session.id.startsWith(beginning)) again--;
        else if (sessions.length < limit) sessions.push(session);
      }
      read += count;
      if (sessions.length === limit) return { sessions, next: placeOf(sessions.at(-1)?.id ?? upTo), read, rows };
      if (count < SCANNED_ROWS) return { sessions, next: undefined, read, rows };
      last = upTo;
    } while (performance.now() < end);
    return { sessions, next: placeOf(last), read, rows };
  }

  async place(): Promise<StorePlace> {
    if (this.#place === undefined) {
      const [row] = await this.#engine.run(this.#engine.sql.place);
      const host = this.#host ?? row?.["host"] ?? undefined;
      this.#place = { database: textOf(row, "database"), host };
    }
    return this.#place;
  }

  async #rows(): Promise<number> {
    const [row] = await this.#engine.run(this.#engine.sql.estimate);
    return Math.max(0, Number(textOf(row, "rows")));
  }
}

/** Estimates the number of users. @param distinct - PostgreSQL's n_distinct: a number or, if negative, a share of the rows */
function usersIn(counted: Row | undefined, loggedIn: number, distinct: number, rows: number): number {
  const exact = counted?.["users"];
  if (exact != null) return Number(exact);
  return Math.min(loggedIn, Math.round(distinct < 0 ? -distinct * rows : distinct));
}

/**
 * Reads a place where a search by address stopped: the beginning of an id, as a whole id could be a token, and the number of sessions with
 * that beginning that were listed before.
 */
function readPlace(place: string): { beginning: string; listed: number } {
  const [, listed = "0", beginning = ""] = /^(\d{1,9})\.(.*)$/s.exec(place) ?? [];
  return { beginning, listed: Number(listed) };
}

/** Returns the pattern for LIKE of names with a prefix. */
function patternOf(prefix: string): string {
  return `${prefix.replaceAll(/[\\%_]/g, "\\$&")}%`;
}

function userIn(row: Row): UserEntry {
  return {
    userId: textOf(row, "user_id"),
    sessions: Number(textOf(row, "sessions")),
    lastLogin: readInstant(row["last_login"]),
  };
}

function sessionIn(row: Row): FoundSession {
  return {
    id: textOf(row, "id"),
    userId: row["user_id"] ?? undefined,
    created: instantIn(row["created"]),
    lastSeen: instantIn(row["last_seen"]),
    expiry: readInstant(row["expiry"]),
    ...detailsIn(row),
  };
}

function instantIn(text: string | null | undefined): Date | undefined {
  return text == null ? undefined : readInstant(text);
}
