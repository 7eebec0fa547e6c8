import type {
  AddressPage,
  FoundSession,
  HistoryPoint,
  StoreOperations,
  StorePlace,
  StoreStats,
  UserEntry,
  UserPage,
  UserQuery,
} from "../core/stats.ts";
import { monotonicNow } from "../core/time.ts";
import { type Row, textOf } from "./drivers/driver.ts";
import type { Engine } from "./execution/database.ts";
import type { Searches } from "./searches.ts";
import { type OperationStatements, WITHIN } from "./sql/stats.ts";
import { readInstant } from "./sql/text-format.ts";

/** Rows that are counted. A larger table is estimated from a sample of this size, the same rows at each call. */
const MAX_COUNTED_ROWS = 200_000;
/** Assumed bytes of a row in a table that was never analysed. */
const ROW_BYTES = 250;

/** Figures of a PgStore for operators. Each takes well under a second, regardless of the table's size. */
export class Operations implements StoreOperations {
  readonly #engine: Engine;
  readonly #sql: OperationStatements;
  readonly #searches: Searches;

  /** Creates the figures of an engine's table. */
  constructor(engine: Engine, sql: OperationStatements, searches: Searches) {
    this.#engine = engine;
    this.#sql = sql;
    this.#searches = searches;
  }

  async stats(): Promise<StoreStats> {
    const { run } = this.#engine;
    // One statement at a time, to leave connections to the application.
    const { history, users: hasUsers } = await this.#engine.probe();
    const [size] = await run(this.#sql.size, []);
    const analysed = Number(size?.["rows"] ?? -1);
    const rows = analysed < 0 ? Number(size?.["heap"] ?? 0) / ROW_BYTES : analysed;
    const percent = rows <= MAX_COUNTED_ROWS ? undefined : (100 * MAX_COUNTED_ROWS) / rows;
    const [counted] = await run(this.#sql.counted(percent, hasUsers), []);
    const [backlog] = await run(this.#sql.backlog, []);
    const [last] = history ? await run(this.#sql.lastCleanup, []) : [];
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
    const rows = history ? await this.#engine.run(this.#sql.history, [String(begin), String(length)]) : [];
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

  listUsers(query: UserQuery): Promise<UserPage> {
    return this.#searches.listUsers(query);
  }

  countUsers(prefix: string, limit: number): Promise<number> {
    return this.#searches.countUsers(prefix, limit);
  }

  countSessions(userId: string): Promise<number> {
    return this.#searches.countSessions(userId);
  }

  findSession(id: string): Promise<FoundSession | undefined> {
    return this.#searches.findSession(id);
  }

  findByAddress(addresses: readonly string[], limit: number, after?: string): Promise<AddressPage> {
    return this.#searches.findByAddress(addresses, limit, after);
  }

  place(): Promise<StorePlace> {
    return this.#searches.place();
  }
}

/** Estimates the number of users. @param distinct - PostgreSQL's n_distinct: a number or, if negative, a share of the rows */
function usersIn(counted: Row | undefined, loggedIn: number, distinct: number, rows: number): number {
  const exact = counted?.["users"];
  if (exact != null) return Number(exact);
  return Math.min(loggedIn, Math.round(distinct < 0 ? -distinct * rows : distinct));
}

/** Pages of users that one cleanup examines. */
const MAX_USER_PAGES = 10;

/** Records a store's figures in its history table, if there is one. */
export class History {
  readonly #engine: Engine;
  readonly #sql: OperationStatements;
  readonly #operations: Operations;
  #lastUser = "";

  /** Creates the history of an engine's table. */
  constructor(engine: Engine, sql: OperationStatements, operations: Operations) {
    this.#engine = engine;
    this.#sql = sql;
    this.#operations = operations;
  }

  /** Adds the sessions that this process has created and ended since the last call. */
  async note(): Promise<void> {
    const { history } = await this.#engine.probe();
    if (history) await this.#write("", "", "", "");
  }

  /**
   * Adds the result of a cleanup and the sessions that are left, then removes old entries.
   *
   * @param begun - the start of the cleanup by the monotonic clock, in milliseconds
   */
  async noteCleanup(removed: number, begun: number): Promise<void> {
    const took = Math.round(monotonicNow() - begun);
    const { history, users } = await this.#engine.probe();
    if (!history) return;
    const stats = await this.#operations.stats();
    await this.#write(String(removed), String(took), String(stats.live), String(stats.users ?? ""));
    await this.#engine.run(this.#sql.forget, []);
    if (users) await this.#pruneUsers();
  }

  async #write(removed: string, took: string, live: string, users: string): Promise<void> {
    const { created, ended } = this.#engine.takeCounts();
    await this.#engine.run(this.#sql.note, [String(created), String(ended), removed || "0", took, live, users]);
  }

  /** Removes some of the users without sessions. There may be millions, so each call continues where the last ended. */
  async #pruneUsers(): Promise<void> {
    for (let page = 0; page < MAX_USER_PAGES; page++) {
      const [row] = await this.#engine.run(this.#sql.pruneUsers, [this.#lastUser]);
      this.#lastUser = textOf(row, "last");
      if (this.#lastUser === "") return;
    }
  }
}
