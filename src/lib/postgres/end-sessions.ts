import { StoreUnavailableError } from "../core/errors.ts";
import { CONCAT, EQ, GE, GT } from "./sql/catalog.ts";
import { type Row, textOf } from "./drivers/driver.ts";
import { type PageBounds, Pager } from "./pager.ts";
import type { Layout } from "./sql/layout.ts";
import { instant, joinedBy, liveRow, type Statement } from "./sql/fragments.ts";
import type { TableName } from "./sql/table-name.ts";
import { arrayText } from "./sql/text-format.ts";

/** Each needs another renewal of the session in the moment between the beginning of a statement and its lock. */
const MAX_ATTEMPTS = 1000;
/** Pages of sessions that are ended. */
export const END_PAGES: PageBounds = { firstRows: 1000, minRows: 50, maxRows: 4000, slowMs: 200 };
/** By which our idea of the database's time may be wrong. */
const MAX_CLOCK_ERROR_MS = 10_000;

type Run = (statement: Statement, values: unknown[]) => Promise<Row[]>;

/** The statements that follow renewals. */
export interface EndingStatements {
  terminate: Statement;
  /** Ends the session only if it is a certain user's. */
  terminateOwned: Statement;
  /** Finds the ids under which the sessions of some ids are live, after all renewals. */
  follow: Statement;
  supersede: Statement;
  /** Ends a page of all sessions, and tells which it has found but not ended. */
  terminatePage: Statement;
}

export function endingStatements({ quoted: table }: TableName, layout: Layout): EndingStatements {
  const { token, data, expiry, successor, typed } = layout;
  const live = liveRow(layout);
  const entomb = `CASE WHEN $2::text ${EQ} 'revoked' THEN ${layout.revoked} ELSE ${layout.destroyed} END`;
  // The second condition of the join always holds: see joinedBy.
  const chain = (mine: string, from: string): string =>
    `WITH RECURSIVE chain AS (SELECT s.${token} AS token, ${successor} AS next, (${mine})::text AS live ` +
    `FROM ${table} s WHERE s.${token} ${EQ} ${from} AND ${typed} ` +
    `UNION SELECT s.${token}, ${successor}, (${mine})::text FROM chain, ${table} s ` +
    `WHERE s.${token} ${EQ} chain.next AND (chain.next ${CONCAT} '') ${EQ} chain.next)`;
  const terminate = (mine: string): Statement => ({
    text:
      `${chain(mine, "$1::text")}, gone AS (UPDATE ${table} s SET ${data} = ${entomb}, ${expiry} = current_timestamp FROM chain ` +
      `WHERE s.${token} ${EQ} chain.token AND chain.live ${EQ} 'true' AND ${mine} RETURNING s.${token} AS token) ` +
      `SELECT chain.token AS token, EXISTS (SELECT FROM gone)::text AS ended FROM chain WHERE chain.live ${EQ} 'true'`,
  });
  // What was renewed since this began may go on under an id that lies before the page.
  const renewed = `(${successor} IS NOT NULL AND s.${expiry} ${GE} ${instant("$3::text")})`;
  return {
    terminatePage: {
      text:
        `WITH page AS (SELECT s.${token} AS token FROM ${table} s WHERE s.${token} ${GT} $1::text ` +
        `AND ((${live}) OR ${renewed}) ORDER BY s.${token} LIMIT $2::text::int), ` +
        // In the order in which batches lock rows, so that these and those don't deadlock.
        `mine AS (SELECT s.${token} AS token FROM ${table} s JOIN page ON ${joinedBy(token, "page")} WHERE ${live} ` +
        `ORDER BY s.${token} COLLATE "C" FOR NO KEY UPDATE OF s), ` +
        `ended AS (UPDATE ${table} s SET ${data} = ${layout.revoked}, ${expiry} = current_timestamp FROM mine ` +
        `WHERE ${joinedBy(token, "mine")} AND ${live} RETURNING s.${token} AS token) ` +
        "SELECT page.token AS token, 'false' AS ended FROM page UNION ALL SELECT ended.token, 'true' FROM ended",
    },
    terminate: terminate(live),
    terminateOwned: terminate(`(${live} AND s.user_id ${EQ} $3::text)`),
    follow: {
      text: `${chain(live, "ANY ($1::text[])")} SELECT chain.token AS token FROM chain WHERE chain.live ${EQ} 'true'`,
    },
    supersede: {
      text:
        `UPDATE ${table} s SET ${data} = ${layout.replacedBy("$2::text")} ` +
        `WHERE s.${token} ${EQ} $1::text AND s.${data} ${EQ} ${layout.revoked} AND ${layout.ended} RETURNING s.${token} AS token`,
    },
  };
}

/**
 * Resolves to the ids of the sessions that a page has ended. A session that it has found and not ended has ended meanwhile, or was
 * renewed: then it is ended under its new id. One statement follows the renewals of the whole page.
 *
 * @param rows - of what was found, with `ended` "false", and of what was ended of it, with "true"
 */
export async function endedOf(
  rows: readonly Row[],
  { follow, terminate }: { follow: Endings["followAll"]; terminate: (id: string) => Promise<string | undefined> },
): Promise<string[]> {
  const ended = new Set(rows.flatMap((row) => (row["ended"] === "true" ? (row["token"] ?? []) : [])));
  const left = rows.flatMap(({ token }) => (token == null || ended.has(token) ? [] : token));
  for (const id of await follow(left)) {
    const last = await terminate(id);
    if (last !== undefined) ended.add(last);
  }
  return [...ended];
}

/**
 * Ends sessions that may have been renewed since their id was read.
 *
 * A renewal leaves a tombstone that names the new id. One statement follows these names from the id that it is given to
 * the last one, and ends that. When a renewal was faster, the row is a tombstone by the time its lock is free, and the
 * statement ends nothing: it is made again from there. Why: docs/decisions/010 and 027.
 */
export class Endings {
  readonly #run: Run;
  readonly #sql: EndingStatements;

  constructor(run: Run, sql: EndingStatements) {
    this.#run = run;
    this.#sql = sql;
  }

  /** Resolves to the id under which the session was live; undefined when it was not, or not this user's. */
  async terminate(id: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined> {
    let from = id;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const [last] =
        userId === undefined
          ? await this.#run(this.#sql.terminate, [from, why])
          : await this.#run(this.#sql.terminateOwned, [from, why, userId]);
      if (last === undefined) return undefined;
      from = last["token"] ?? "";
      if (last["ended"] === "true") return from;
    }
    throw new StoreUnavailableError(`a session was renewed during each of ${MAX_ATTEMPTS} attempts to end it`);
  }

  /**
   * Ends all sessions by id, page by page; also those that get another id meanwhile, and may get one that lies before
   * the page.
   *
   * @param since - when that began, in milliseconds of the database's time
   */
  async terminateAll(since: number, onEnded: (ids: string[]) => void): Promise<void> {
    const pager = new Pager(END_PAGES);
    const from = String(since - MAX_CLOCK_ERROR_MS);
    for (let last = ""; ;) {
      const { rows: size } = pager;
      const rows = await pager.read(() => this.#run(this.#sql.terminatePage, [last, String(size), from]));
      const found = rows.filter(({ ended }) => ended === "false");
      const ids = await endedOf(rows, {
        follow: this.followAll,
        terminate: (id) => this.terminate(id, "revoked"),
      });
      if (ids.length > 0) onEnded(ids);
      if (found.length < size) return;
      last = found.at(-1)?.["token"] ?? "";
    }
  }

  /** Resolves to the id under which the session is live by now; undefined when it is not. */
  async follow(id: string): Promise<string | undefined> {
    return (await this.followAll([id]))[0];
  }

  /** Resolves to the ids under which the sessions of these ids are live by now. */
  readonly followAll = async (ids: readonly string[]): Promise<string[]> => {
    if (ids.length === 0) return [];
    return (await this.#run(this.#sql.follow, [arrayText(ids)])).map((row) => textOf(row, "token"));
  };

  /** Turns the tombstone of a revoked session into that of a replaced one. Resolves to whether there was one. */
  async supersede(id: string, newId: string): Promise<boolean> {
    return (await this.#run(this.#sql.supersede, [id, newId])).length > 0;
  }
}
