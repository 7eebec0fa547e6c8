import { StoreUnavailableError } from "../core/errors.ts";
import { CONCAT, EQ, GE, GT } from "./sql/catalog.ts";
import { type Row, textOf } from "./drivers/driver.ts";
import { type PageBounds, Pager } from "./pager.ts";
import type { Layout } from "./sql/layout.ts";
import { instant, joinedBy, liveRow, type Statement } from "./sql/fragments.ts";
import type { TableName } from "./sql/table-name.ts";
import { arrayText } from "./sql/text-format.ts";

/** An attempt fails only if the session is renewed between the start of a statement and its lock. */
const MAX_ATTEMPTS = 1000;
/** Bounds of the pages in which sessions are ended. */
export const END_PAGES: PageBounds = { firstRows: 1000, minRows: 50, maxRows: 4000, slowMs: 200 };
/** Largest assumed error of the estimate of the database's time. */
const MAX_CLOCK_ERROR_MS = 10_000;

type Run = (statement: Statement, values: unknown[]) => Promise<Row[]>;

/** Statements that end sessions even if they have been renewed. */
export interface EndingStatements {
  terminate: Statement;
  /** Ends the session only if it belongs to a given user. */
  terminateOwned: Statement;
  /** Finds the ids under which sessions are live after renewals. */
  follow: Statement;
  supersede: Statement;
  /** Ends a page of all sessions. Returns the ids that it found and those that it ended. */
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
  // A session renewed since the start may continue under an id that sorts before this page.
  const renewed = `(${successor} IS NOT NULL AND s.${expiry} ${GE} ${instant("$3::text")})`;
  return {
    terminatePage: {
      text:
        `WITH page AS (SELECT s.${token} AS token FROM ${table} s WHERE s.${token} ${GT} $1::text ` +
        `AND ((${live}) OR ${renewed}) ORDER BY s.${token} LIMIT $2::text::int), ` +
        // The lock order of batches, to avoid deadlocks with them.
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
 * Finishes a page of ended sessions. A session that was found but not ended may have been renewed: it is ended under its new
 * id. One statement follows the renewals of the whole page.
 *
 * @param rows - the found sessions, with `ended` "false", and the ended ones, with `ended` "true"
 * @returns the ids of the ended sessions
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
 * A renewal leaves a tombstone that names the new id. One statement follows these names to the last id and ends its session.
 * If another renewal was faster, the row is a tombstone by then, and the statement is repeated from there. Why:
 * docs/decisions/010 and 027.
 */
export class Endings {
  readonly #run: Run;
  readonly #sql: EndingStatements;

  /** Creates the endings of a table from its statements. */
  constructor(run: Run, sql: EndingStatements) {
    this.#run = run;
    this.#sql = sql;
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
          ? await this.#run(this.#sql.terminate, [from, why])
          : await this.#run(this.#sql.terminateOwned, [from, why, userId]);
      if (last === undefined) return undefined;
      from = last["token"] ?? "";
      if (last["ended"] === "true") return from;
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

  /** Resolves to the id under which a session is live after renewals, or to undefined when it is not live. */
  async follow(id: string): Promise<string | undefined> {
    return (await this.followAll([id]))[0];
  }

  /** Resolves to the ids under which sessions are live after renewals. */
  readonly followAll = async (ids: readonly string[]): Promise<string[]> => {
    if (ids.length === 0) return [];
    return (await this.#run(this.#sql.follow, [arrayText(ids)])).map((row) => textOf(row, "token"));
  };

  /** Turns the tombstone of a revoked session into that of a replaced one. Resolves to whether it existed. */
  async supersede(id: string, newId: string): Promise<boolean> {
    return (await this.#run(this.#sql.supersede, [id, newId])).length > 0;
  }
}
