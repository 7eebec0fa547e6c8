import { SessionDecodeError } from "../base/errors.ts";
import { isToken } from "../base/token.ts";
import type { Found, StoredSession } from "../port/store.ts";
import { SessionRecord, type StoredRow } from "../session/record.ts";
import type { Committer } from "./committer.ts";
import { publish } from "./events.ts";
import type { Rows } from "./rows.ts";

/** Finds the session that a request's tokens lead to: the only place where a token is trusted. */
export class Loader {
  readonly #committer: Committer;
  readonly #rows: Rows;

  constructor(committer: Committer, rows: Rows) {
    this.#committer = committer;
    this.#rows = rows;
  }

  /** @param presented - what came in place of a token, well-formed or not */
  async load(presented: readonly string[]): Promise<SessionRecord> {
    const tokens = presented.filter(isToken);
    const [only] = tokens;
    if (only === undefined) return begin(presented.length > 0);
    if (tokens.length > 1) return this.#loadOneOf(tokens);
    const key = this.#rows.keyOf(only);
    return this.#recordOf(key, only, await this.#committer.lookUp(key));
  }

  /** Somebody has planted all of them but one: which, the table may tell. */
  async #loadOneOf(tokens: string[]): Promise<SessionRecord> {
    const candidates = await Promise.all(
      tokens.map(async (token) => {
        const key = this.#rows.keyOf(token);
        return { token, key, found: await this.#committer.lookUp(key) };
      }),
    );
    const live = candidates.filter(({ found }) => typeof found === "object");
    publish("duplicate", { id: this.#rows.idOf(candidates[0]?.key), live: live.length });
    const [chosen] = live.length > 0 ? live : candidates.filter(({ found }) => found === "ended");
    if (chosen === undefined || live.length > 1) return begin(true);
    return this.#recordOf(chosen.key, chosen.token, chosen.found);
  }

  /** What the session of a token holds; undefined when there is none, or when it is the one of `mine`. */
  async peek(token: string, mine: string | undefined): Promise<StoredRow | undefined> {
    const key = isToken(token) ? this.#rows.keyOf(token) : undefined;
    if (key === undefined || key === mine) return undefined;
    const found = await this.#committer.lookUp(key);
    return typeof found === "object" ? this.read(key, found) : undefined;
  }

  /** What a row holds. Bytes that nobody can read, or that somebody has tampered with, are none: an event tells, the row stays. */
  read(key: string, found: StoredSession): StoredRow | undefined {
    try {
      return this.#rows.decode(key, found);
    } catch (error) {
      if (!(error instanceof SessionDecodeError)) throw error;
      publish("error", { id: error.id, error });
      return undefined;
    }
  }

  #recordOf(key: string, token: string, found: Found): SessionRecord {
    if (found === undefined) return begin(true);
    if (found !== "ended") {
      const row = this.read(key, found);
      return row === undefined ? begin(true) : new SessionRecord(row, key, token);
    }
    publish("stale", { id: this.#rows.idOf(key) });
    const record = begin(true);
    record.phase = "stale";
    record.key = key;
    return record;
  }
}

/** @param presented - what the request answers depends on the cookie that came, although that leads nowhere */
function begin(presented: boolean): SessionRecord {
  const record = new SessionRecord();
  record.accessed = presented;
  return record;
}
