import { StoreUnavailableError } from "../base/errors.ts";
import type { Row } from "./driver.ts";
import type { Layout } from "./layout.ts";
import { liveRow, type Statement } from "./statements.ts";
import type { TableName } from "./table-name.ts";

/** Each needs another renewal of the session in the moment between the beginning of a statement and its lock. */
const MAX_ATTEMPTS = 1000;

type Run = (statement: Statement, values: unknown[]) => Promise<Row[]>;

/**
 * Ends sessions that may have been renewed since their token was read.
 *
 * A renewal leaves a tombstone that names the new token. One statement follows these names from the token that it is given to
 * the last one, and ends that. When a renewal was faster, the row is a tombstone by the time its lock is free, and the
 * statement ends nothing: it is made again from there. Why: docs/decisions/010.
 */
export class Endings {
  readonly #run: Run;
  readonly #terminate: Record<"any" | "owned", Statement>;
  readonly #follow: Statement;
  readonly #supersede: Statement;

  constructor(run: Run, { quoted: table }: TableName, layout: Layout) {
    const { token, data, expiry, successor, typed } = layout;
    const live = liveRow(layout);
    const entomb = `CASE WHEN $2::text = 'revoked' THEN ${layout.revoked} ELSE ${layout.destroyed} END`;
    const chain = (mine: string): string =>
      `WITH RECURSIVE chain AS (SELECT s.${token} AS token, ${successor} AS next, (${mine})::text AS live ` +
      `FROM ${table} s WHERE s.${token} = $1::text AND ${typed} ` +
      `UNION SELECT s.${token}, ${successor}, (${mine})::text FROM chain, ${table} s WHERE s.${token} = chain.next)`;
    const terminate = (mine: string): Statement => ({
      text:
        `${chain(mine)}, gone AS (UPDATE ${table} s SET ${data} = ${entomb}, ${expiry} = current_timestamp FROM chain ` +
        `WHERE s.${token} = chain.token AND chain.live = 'true' AND ${mine} RETURNING s.${token} AS token) ` +
        `SELECT chain.token AS token, EXISTS (SELECT FROM gone)::text AS ended FROM chain WHERE chain.live = 'true'`,
    });
    this.#run = run;
    this.#terminate = {
      any: terminate(live),
      owned: terminate(`(${live} AND s.user_id IS NOT DISTINCT FROM $3::text)`),
    };
    this.#follow = { text: `${chain(live)} SELECT token FROM chain WHERE live = 'true'` };
    this.#supersede = {
      text:
        `UPDATE ${table} s SET ${data} = ${layout.replacedBy("$2::text")} ` +
        `WHERE s.${token} = $1::text AND s.${data} = ${layout.revoked} AND ${layout.ended} RETURNING s.${token} AS token`,
    };
  }

  /** Resolves to the token under which the session was live; undefined when it was not, or not this user's. */
  async terminate(token: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined> {
    let from = token;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const [last] =
        userId === undefined
          ? await this.#run(this.#terminate.any, [from, why])
          : await this.#run(this.#terminate.owned, [from, why, userId]);
      if (last === undefined) return undefined;
      from = last["token"] ?? "";
      if (last["ended"] === "true") return from;
    }
    throw new StoreUnavailableError(`a session was renewed during each of ${MAX_ATTEMPTS} attempts to end it`);
  }

  /** Resolves to the token under which the session is live by now; undefined when it is not. */
  async follow(token: string): Promise<string | undefined> {
    const [last] = await this.#run(this.#follow, [token]);
    return last?.["token"] ?? undefined;
  }

  /** Turns the tombstone of a revoked session into that of a replaced one. Resolves to whether there was one. */
  async supersede(token: string, newToken: string): Promise<boolean> {
    return (await this.#run(this.#supersede, [token, newToken])).length > 0;
  }
}
