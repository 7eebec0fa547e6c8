import { StoreUnavailableError } from "../core/errors.ts";
import { type Row, textOf } from "./drivers/driver.ts";
import type { Engine } from "./execution/database.ts";
import { type PageBounds, Pager } from "./pager.ts";
import { arrayText } from "./sql/text-format.ts";

/** An attempt fails only if the session is renewed between the start of a statement and its lock. */
const MAX_ATTEMPTS = 1000;
/** Bounds of the pages in which sessions are ended. */
export const END_PAGES: PageBounds = { firstRows: 1000, minRows: 50, maxRows: 4000, slowMs: 200 };
/** Largest assumed error of the estimate of the database's time. */
const MAX_CLOCK_ERROR_MS = 10_000;

/**
 * Ends sessions that may have been renewed since their id was read.
 *
 * A renewal leaves a tombstone that names the new id. One statement follows these names to the last id and ends its session.
 * If another renewal was faster, the row is a tombstone by then, and the statement is repeated from there. Why:
 * docs/decisions/010 and 027.
 */
export class Endings {
  readonly #engine: Engine;

  /** Creates the endings of an engine's table. */
  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Ends a session, even if it has been renewed.
   *
   * @returns the id under which the session was live, or undefined when it was not live or belongs to another user
   * @throws StoreUnavailableError when the database doesn't answer, or the session was renewed during every attempt
   */
  async terminate(id: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined> {
    let from = id;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const [last] =
        userId === undefined
          ? await this.#engine.run(this.#engine.sql.terminate, [from, why])
          : await this.#engine.run(this.#engine.sql.terminateOwned, [from, why, userId]);
      if (last === undefined) return undefined;
      from = textOf(last, "token");
      if (last["ended"] !== "true") continue;
      this.#engine.count("ended", 1);
      return from;
    }
    throw new StoreUnavailableError(`a session was renewed during each of ${MAX_ATTEMPTS} attempts to end it`);
  }

  /**
   * Ends all sessions page by page, in the order of their ids, even those that are renewed meanwhile.
   *
   * @param since - the start of the run by the database's clock, in milliseconds since 1970
   */
  async terminateAll(since: number, onEnded: (ids: string[]) => void): Promise<void> {
    const pager = new Pager(END_PAGES);
    const from = String(since - MAX_CLOCK_ERROR_MS);
    for (let last = ""; ;) {
      const { rows: size } = pager;
      const rows = await pager.read(() => this.#engine.run(this.#engine.sql.terminatePage, [last, String(size), from]));
      const found = rows.filter(({ ended }) => ended === "false");
      const ids = await this.finishPage(rows);
      if (ids.length > 0) onEnded(ids);
      if (found.length < size) return;
      last = textOf(found.at(-1), "token");
    }
  }

  /**
   * Finishes a page of ended sessions. A session that was found but not ended may have been renewed: it is ended under its new
   * id. One statement follows the renewals of the whole page.
   *
   * @param rows - the found sessions, with `ended` "false", and the ended ones, with `ended` "true"
   * @param userId - ends only this user's sessions
   * @returns the ids of the ended sessions
   */
  async finishPage(rows: readonly Row[], userId?: string): Promise<string[]> {
    const ended = new Set(rows.flatMap((row) => (row["ended"] === "true" ? (row["token"] ?? []) : [])));
    this.#engine.count("ended", ended.size);
    const left = rows.flatMap(({ token }) => (token == null || ended.has(token) ? [] : token));
    for (const id of await this.#followAll(left)) {
      const last = await this.terminate(id, "revoked", userId);
      if (last !== undefined) ended.add(last);
    }
    return [...ended];
  }

  /** Resolves to the id under which a session is live after renewals, or to undefined when it is not live. */
  async follow(id: string): Promise<string | undefined> {
    return (await this.#followAll([id]))[0];
  }

  /** Resolves to the ids under which sessions are live after renewals. */
  async #followAll(ids: readonly string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    return (await this.#engine.run(this.#engine.sql.follow, [arrayText(ids)])).map((row) => textOf(row, "token"));
  }

  /** Marks a revoked session's tombstone as replaced. Resolves to whether it existed. */
  async supersede(id: string, newId: string): Promise<boolean> {
    return (await this.#engine.run(this.#engine.sql.supersede, [id, newId])).length > 0;
  }
}
