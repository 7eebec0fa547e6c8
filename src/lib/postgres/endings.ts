import { StoreUnavailableError } from "../base/errors.ts";
import { EQ } from "./catalog.ts";
import type { Row } from "./driver.ts";
import type { Layout } from "./layout.ts";
import { liveRow, type Statement } from "./statements.ts";
import type { TableName } from "./table-name.ts";

/** Each needs another renewal of the session in the moment between the beginning of a statement and its lock. */
const MAX_ATTEMPTS = 1000;

type Run = (statement: Statement, values: unknown[]) => Promise<Row[]>;

/** The statements that follow renewals. */
export interface EndingStatements {
  terminate: Statement;
  /** Ends the session only if it is a certain user's. */
  terminateOwned: Statement;
  follow: Statement;
  supersede: Statement;
}

export function endingStatements({ quoted: table }: TableName, layout: Layout): EndingStatements {
  const { token, data, expiry, successor, typed } = layout;
  const live = liveRow(layout);
  const entomb = `CASE WHEN $2::text ${EQ} 'revoked' THEN ${layout.revoked} ELSE ${layout.destroyed} END`;
  const chain = (mine: string): string =>
    `WITH RECURSIVE chain AS (SELECT s.${token} AS token, ${successor} AS next, (${mine})::text AS live ` +
    `FROM ${table} s WHERE s.${token} ${EQ} $1::text AND ${typed} ` +
    `UNION SELECT s.${token}, ${successor}, (${mine})::text FROM chain, ${table} s WHERE s.${token} ${EQ} chain.next)`;
  const terminate = (mine: string): Statement => ({
    text:
      `${chain(mine)}, gone AS (UPDATE ${table} s SET ${data} = ${entomb}, ${expiry} = current_timestamp FROM chain ` +
      `WHERE s.${token} ${EQ} chain.token AND chain.live ${EQ} 'true' AND ${mine} RETURNING s.${token} AS token) ` +
      `SELECT chain.token AS token, EXISTS (SELECT FROM gone)::text AS ended FROM chain WHERE chain.live ${EQ} 'true'`,
  });
  return {
    terminate: terminate(live),
    terminateOwned: terminate(`(${live} AND s.user_id ${EQ} $3::text)`),
    follow: { text: `${chain(live)} SELECT chain.token AS token FROM chain WHERE chain.live ${EQ} 'true'` },
    supersede: {
      text:
        `UPDATE ${table} s SET ${data} = ${layout.replacedBy("$2::text")} ` +
        `WHERE s.${token} ${EQ} $1::text AND s.${data} ${EQ} ${layout.revoked} AND ${layout.ended} RETURNING s.${token} AS token`,
    },
  };
}

/**
 * Ends sessions that may have been renewed since their token was read.
 *
 * A renewal leaves a tombstone that names the new token. One statement follows these names from the token that it is given to
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

  /** Resolves to the token under which the session was live; undefined when it was not, or not this user's. */
  async terminate(token: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined> {
    let from = token;
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

  /** Resolves to the token under which the session is live by now; undefined when it is not. */
  async follow(token: string): Promise<string | undefined> {
    const [last] = await this.#run(this.#sql.follow, [token]);
    return last?.["token"] ?? undefined;
  }

  /** Turns the tombstone of a revoked session into that of a replaced one. Resolves to whether there was one. */
  async supersede(token: string, newToken: string): Promise<boolean> {
    return (await this.#run(this.#sql.supersede, [token, newToken])).length > 0;
  }
}
