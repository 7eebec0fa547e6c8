import {
  type AddressPage,
  type FoundSession,
  MAX_SORTED_ROWS,
  type StorePlace,
  type UserEntry,
  type UserPage,
  type UserQuery,
} from "../core/stats.ts";
import { isId } from "../core/token.ts";
import { monotonicNow } from "../core/time.ts";
import { type Row, textOf } from "./drivers/driver.ts";
import type { Engine } from "./execution/database.ts";
import type { Layout } from "./sql/layout.ts";
import { type SearchStatements, searchStatements } from "./sql/search.ts";
import type { TableName } from "./sql/table-name.ts";
import { arrayText, readInstant } from "./sql/text-format.ts";

/** Rows that one statement of a search by address reads: few enough for a cold disk to do it within the time limit of a query. */
const SCANNED_ROWS = 10_000;
/** Milliseconds after which a search by address begins no more statements. */
const MAX_SCAN_MS = 2000;
/** Characters of an id by which its session is found. Pages and the command line show as many. */
const MIN_CHARACTERS = 12;
/** Characters of the id at which a search stopped. The ids of sessions have 43. */
const PLACE_CHARACTERS = 8;

/** Finds users and sessions for operators. Each call reads a bounded number of rows, however large the table is. */
export class Searches {
  readonly #engine: Engine;
  readonly #sql: SearchStatements;
  readonly #host: string | undefined;
  #place: StorePlace | undefined;

  /** Creates the searches of an engine's table. @param host - of the database, as the client knows it */
  constructor(engine: Engine, table: TableName, layout: Layout, host: string | undefined) {
    this.#engine = engine;
    this.#sql = searchStatements(table, layout);
    this.#host = host;
  }

  async listUsers({ prefix = "", order = "name", limit, after, before, offset = 0 }: UserQuery): Promise<UserPage> {
    const pattern = patternOf(prefix);
    if (order === "name") {
      const isBackwards = before !== undefined && after === undefined;
      const statement = isBackwards ? this.#sql.usersBefore : this.#sql.usersAfter;
      const rows = await this.#engine.run(statement, [pattern, before ?? after ?? "", String(limit)]);
      const users = rows.map(userIn);
      return { users: isBackwards ? users.toReversed() : users, sorted: "all" };
    }
    const rows = order === "sessions" && prefix === "" ? await this.#rows() : 0;
    const isSample = rows > MAX_SORTED_ROWS;
    const ranking = isSample ? this.#sql.bySessionsIn((100 * MAX_SORTED_ROWS) / rows) : this.#sql.bySessions;
    const statement = order === "lastLogin" ? this.#sql.byLogin : ranking;
    const found = await this.#engine.run(statement, [pattern, String(limit), String(offset)]);
    const isCut = Number(textOf(found[0], "read")) >= MAX_SORTED_ROWS;
    const users = found.map(userIn);
    if (isSample) return { users: users.toSorted((a, b) => b.sessions - a.sessions), sorted: "sample" };
    return { users, sorted: isCut ? "some" : "all" };
  }

  async countUsers(prefix: string, limit: number): Promise<number> {
    const [row] = await this.#engine.run(this.#sql.countUsers, [patternOf(prefix), String(limit)]);
    return Number(row?.["count"]);
  }

  async countSessions(userId: string): Promise<number> {
    const [row] = await this.#engine.run(this.#sql.countSessions, [userId]);
    return Number(row?.["count"]);
  }

  async findSession(id: string): Promise<FoundSession | undefined> {
    if (!isId(id)) return undefined;
    const [row] = await this.#engine.run(this.#sql.sessionById, [id]);
    if (row !== undefined) return sessionIn(row);
    if (!/^[\w-]+$/.test(id) || id.length < MIN_CHARACTERS) return undefined;
    const next = await this.#engine.run(this.#sql.sessionsFrom, [id]);
    const found = next.find(({ token }) => token?.startsWith(id) === true);
    return found && sessionIn(found);
  }

  async findByAddress(addresses: readonly string[], limit: number, after = ""): Promise<AddressPage> {
    const { run } = this.#engine;
    const wanted = arrayText(addresses);
    const rows = await this.#rows();
    const [index] = await run(this.#sql.hasAddressIndex, []);
    if (index?.["found"] === "true") {
      const found = await run(this.#sql.byAddress, [wanted, String(limit)]);
      return { sessions: found.map(sessionIn), next: undefined, read: 0, rows };
    }
    const end = monotonicNow() + MAX_SCAN_MS;
    const sessions: FoundSession[] = [];
    let [last, read] = [after, 0];
    do {
      const [bound] = await run(this.#sql.nextRows, [last, String(SCANNED_ROWS)]);
      const count = Number(textOf(bound, "count"));
      if (count === 0) return { sessions, next: undefined, read, rows };
      const upTo = textOf(bound, "last");
      const missing = limit - sessions.length;
      const found = await run(this.#sql.byAddressBetween, [wanted, last, upTo, String(missing)]);
      for (const row of found) sessions.push(sessionIn(row));
      read += count;
      if (found.length === missing) return { sessions, next: placeOf(sessions.at(-1)?.id ?? upTo), read, rows };
      if (count < SCANNED_ROWS) return { sessions, next: undefined, read, rows };
      last = upTo;
    } while (monotonicNow() < end);
    return { sessions, next: placeOf(last), read, rows };
  }

  async place(): Promise<StorePlace> {
    if (this.#place === undefined) {
      const [row] = await this.#engine.run(this.#sql.place, []);
      const host = this.#host ?? row?.["host"] ?? undefined;
      this.#place = { database: textOf(row, "database"), host };
    }
    return this.#place;
  }

  async #rows(): Promise<number> {
    const [row] = await this.#engine.run(this.#sql.rows, []);
    return Math.max(0, Number(textOf(row, "rows")));
  }
}

/** Returns the beginning of an id, which is less than every id that begins with it. A whole id could be a token. */
function placeOf(id: string): string {
  return id.slice(0, PLACE_CHARACTERS);
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
    id: textOf(row, "token"),
    userId: row["user_id"] ?? undefined,
    created: instantIn(row["created"]),
    lastSeen: instantIn(row["last_seen"]),
    expiry: readInstant(row["expiry"]),
    ip: row["ip"] ?? undefined,
    userAgent: row["user_agent"] ?? undefined,
  };
}

function instantIn(text: string | null | undefined): Date | undefined {
  return text == null ? undefined : readInstant(text);
}
