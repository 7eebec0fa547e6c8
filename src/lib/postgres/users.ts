import { type PgStoreError, SchemaError, StoreUnavailableError } from "../core/errors.ts";
import { warn } from "../core/log.ts";
import type { OwnedEntry, OwnedPlace, Owner, TaggedEntry, UserStore, WriteOutcome } from "../core/store.ts";
import { type Row, textOf } from "./drivers/driver.ts";
import { END_PAGES, type Endings } from "./end-sessions.ts";
import type { Engine } from "./execution/database.ts";
import type { Input } from "./execution/dispatch.ts";
import type { Statement } from "./sql/fragments.ts";
import type { TableName } from "./sql/table-name.ts";
import { Pager } from "./pager.ts";
import { isMissing } from "./drivers/errors.ts";
import type { FencedEnd } from "./sql/fence.ts";
import { DETAILS, detailsIn } from "./sql/tables.ts";
import { arrayText, instantText, MAX_INSTANT_MS, readInstant } from "./sql/text-format.ts";

/** An attempt fails only if a login comes between the start of a statement and its lock. */
const MAX_END_ATTEMPTS = 100;
/** A place before the newest session. */
const LAST: OwnedPlace = { created: new Date(MAX_INSTANT_MS), id: "" };

/** An end of a user's sessions page by page, in short statements. */
interface PagedEnd {
  readonly userId: string;
  /** The sessions that stay. */
  readonly except: readonly string[];
  /** Called with the ids of each page. */
  readonly onEnded: ((ids: string[]) => void) | undefined;
  readonly pager: Pager;
  /** The sessions that have ended so far. */
  readonly ended: string[];
}

function pagedEnd(userId: string, except: readonly string[], onEnded?: (ids: string[]) => void): PagedEnd {
  return { userId, except, onEnded, pager: new Pager(END_PAGES), ended: [] };
}

/**
 * Finds and ends sessions by user, with the columns that `migrate` adds.
 *
 * On a table without these columns a login is stored without its user. A warning says so once, and methods that look for a
 * user throw SchemaError. If the columns exist but can't be written, a login is refused: ending the user's sessions would
 * miss it.
 */
export class UserSessions implements UserStore {
  readonly #engine: Engine;
  readonly #table: TableName;
  readonly #endings: Endings;

  /** Creates the user store of an engine's table. @param endings - ends sessions that may have been renewed */
  constructor(engine: Engine, table: TableName, endings: Endings) {
    this.#engine = engine;
    this.#endings = endings;
    this.#table = table;
  }

  /** Inserts a row for its owner. */
  create(row: Input, owner: Owner, signal?: AbortSignal): Promise<WriteOutcome> {
    return this.#write("create", row, owner, [], signal);
  }

  /** Renews a row for its owner. */
  async renew(row: Input, owner: Owner, signal?: AbortSignal): Promise<WriteOutcome> {
    const write = (goesOn: "" | "1" | "2"): Promise<WriteOutcome> => this.#write("renew", row, owner, [goesOn], signal);
    if (owner.goesOn !== true) return write("");
    const outcome = await write("1");
    // While there is a fence, the first attempt writes nothing: only a session that is not behind it may be renewed.
    const isSpared = outcome === false && (await this.#engine.behindFence([row[0]])).get(row[0]) === false;
    return isSpared ? write("2") : outcome;
  }

  async list(userId: string, limit: number, after: OwnedPlace = LAST): Promise<OwnedEntry[]> {
    const values = [userId, instantText(after.created, "after"), after.id, String(limit)];
    const rows = await this.#run(this.#engine.sql.listByUser, values);
    return rows.map((row) => ({
      id: textOf(row, "token"),
      created: readInstant(row["created"]),
      lastSeen: readInstant(row["last_seen"]),
      expiry: readInstant(row["expiry"]),
      ...detailsIn(row),
    }));
  }

  async listByTag(tag: string, limit: number): Promise<TaggedEntry[]> {
    const { run, sql } = this.#engine;
    await run(sql.quiet, [tag]);
    const rows = await this.#run(sql.listByTag, [tag, String(limit)]);
    return rows.map((row) => ({ id: textOf(row, "token"), userId: textOf(row, "user_id") }));
  }

  /**
   * Ends a user's sessions. The first statement refuses logins under way and ends the newest page. Each further page has its
   * own statement and time limit.
   *
   * @throws SchemaError when the table has no columns for users
   * @throws StoreUnavailableError when the database doesn't answer, or a login interrupted every attempt
   */
  async end(userId: string, except: readonly string[], onEnded?: (ids: string[]) => void): Promise<string[]> {
    const end = pagedEnd(userId, except, onEnded);
    for (let attempt = 1; attempt <= MAX_END_ATTEMPTS; attempt++) {
      const [rows, isFull] = await this.#endPage(end, this.#engine.sql.endByUser);
      if (isFull) {
        const bound = rows[0]?.["bound"] ?? "";
        // Start again at the newest session of that time: more may have begun since.
        await this.#endAfter(end, String(Number(bound) + 1), "");
        return end.ended;
      }
      if (rows[0]?.["crossed"] !== "true") return end.ended;
    }
    throw new StoreUnavailableError(
      `the user's sessions were not ended, as a login interrupted each of ${MAX_END_ATTEMPTS} attempts. Try again`,
    );
  }

  async trim(userId: string, most: number, onEnded?: (ids: string[]) => void): Promise<string[]> {
    // The login before this call has found that the columns are missing.
    if (this.#engine.additions?.owners === false) throw new SchemaError(this.#table.quoted, this.#remedy);
    const end = pagedEnd(userId, [], onEnded);
    const [rows, isFull] = await this.#endPage(end, this.#engine.sql.trim, [String(most)]);
    const last = rows.at(-1);
    if (isFull && last?.["created"] != null) await this.#endAfter(end, last["created"], textOf(last, "token"));
    return end.ended;
  }

  /** Finishes the ends listed in the fence, as their processes may have died. */
  async finishEnds(signal?: AbortSignal): Promise<void> {
    const { sql } = this.#engine;
    for (const row of await this.#run(sql.fencedEnds)) {
      const entry = textOf(row, "entry");
      const { user, except } = JSON.parse(entry) as FencedEnd;
      await this.#finishEnd(pagedEnd(user, except), entry, signal);
    }
    await this.#run(sql.dropFence);
  }

  /** Ends a page. Resolves to the rows that it found, and to whether there may be more. */
  async #endPage(end: PagedEnd, statement: Statement, place: string[] = []): Promise<[rows: Row[], isFull: boolean]> {
    const { rows: size } = end.pager;
    const values = [end.userId, arrayText(end.except), String(size), ...place];
    const rows = await end.pager.read(() => this.#run(statement, values));
    const found = rows.filter((row) => row["token"] != null && row["ended"] === "false");
    const ids = await this.#endings.finishPage(rows, end.userId);
    for (const id of ids) end.ended.push(id);
    if (ids.length > 0) end.onEnded?.(ids);
    return [found.length === 0 ? rows : found, found.length === size];
  }

  /** Ends all sessions after a place. The fence makes them all invalid before the first page, and stays if a page fails. */
  async #endAfter(end: PagedEnd, created: string, id: string): Promise<void> {
    const fenced: FencedEnd = { user: end.userId, created, id, except: end.except };
    const entry = JSON.stringify(fenced);
    await this.#run(this.#engine.sql.raiseFence, [entry]);
    await this.#finishEnd(end, entry);
  }

  /** Ends all sessions of an entry of the fence, then removes the entry. */
  async #finishEnd(end: PagedEnd, entry: string, signal?: AbortSignal): Promise<void> {
    const { sql } = this.#engine;
    const { created, id } = JSON.parse(entry) as FencedEnd;
    for (let place: string[] | undefined = [created, id]; place !== undefined;) {
      signal?.throwIfAborted();
      const [rows, isFull] = await this.#endPage(end, sql.endPage, place);
      const last = rows.at(-1);
      place = isFull && last !== undefined ? [textOf(last, "created"), textOf(last, "token")] : undefined;
    }
    if (id === "") {
      // Sessions that have moved meanwhile, and those without a recorded login.
      const bound = String(Number(created) - 1);
      while ((await this.#endPage(end, sql.sweep, [bound]))[0].length > 0);
    }
    await this.#run(sql.lowerFence, [entry]);
    await this.#run(sql.dropFence);
  }

  readonly #run: Engine["run"] = (statement, values) => this.explained(this.#engine.run(statement, values));

  /** Writes a row with its user, if the table has columns for it. @throws SchemaError when they exist but can't be written */
  async #write(
    kind: "create" | "renew",
    row: Input,
    { userId, most, tags, ...details }: Owner,
    goesOn: string[],
    signal?: AbortSignal,
  ): Promise<WriteOutcome> {
    /** The number of sessions that the user may have in addition to the new one. */
    const others = most === undefined ? "" : String(most - 1);
    const columns: Input = [...row, userId, ...DETAILS.map((detail) => details[detail] ?? ""), ...goesOn, others];
    if (tags !== undefined) {
      return this.explained(this.#engine.operations.write(`${kind}Tagged`, [...columns, arrayText(tags)], signal));
    }
    if (this.#engine.additions?.owners === true || (await this.#engine.probe()).owners) {
      try {
        return await this.#engine.operations.write(`${kind}For`, columns, signal);
      } catch (error) {
        if (!isMissing(error)) throw error;
        if ((await this.#engine.probe()).owners) throw this.#explain(error);
      }
    }
    const outcome = await this.#engine.operations.write(kind, row, signal);
    warn("PGSTORE_NO_USERS", `A login was stored without its user: ${this.#remedy}`, this);
    return outcome;
  }

  /** Waits for an answer. @throws SchemaError when a column or privilege for users is missing. The message names the remedy */
  async explained<T>(asked: Promise<T>): Promise<T> {
    try {
      const answer = await asked;
      if (this.#engine.additions?.owners === false) this.#engine.forget();
      return answer;
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw this.#explain(error);
    }
  }

  #explain({ cause }: PgStoreError): SchemaError {
    return new SchemaError(this.#table.quoted, this.#remedy, { cause });
  }

  get #remedy(): string {
    const { quoted, users } = this.#table;
    return (
      `sessions by user and by tag need columns of table ${quoted} and the table ${users}, which are missing or denied to this role: ` +
      `run store.migrate() or npx pgstore migrate, or GRANT SELECT, INSERT, UPDATE, DELETE ON ${users}`
    );
  }
}
