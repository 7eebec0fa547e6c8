import { monotonicNow } from "../core/time.ts";
import { SessionDecodeError } from "../core/errors.ts";
import { codeOf, isWatched, type LoadEvent, publish } from "../core/events.ts";
import { isToken } from "../core/token.ts";
import type { Found, StoredSession } from "../core/store.ts";
import { SessionRecord, type StoredRow } from "../session/state.ts";
import type { Committer } from "./committer.ts";
import type { Rows } from "./row-codec.ts";

/** Tokens of one request that are looked up. Somebody who can plant cookies must not choose which of them those are. */
const MAX_TOKENS = 4;

/** Finds the session that a request's tokens lead to: the only place where a token is trusted. */
export class Loader {
  readonly #committer: Committer;
  readonly #rows: Rows;

  /** @param committer - its store tells the time */
  constructor(committer: Committer, rows: Rows) {
    this.#committer = committer;
    this.#rows = rows;
  }

  /** @param presented - what came in place of a token, well-formed or not */
  load(presented: readonly string[]): Promise<SessionRecord> {
    const tokens = [...new Set(presented)].filter(isToken);
    const [first] = tokens;
    if (first === undefined) return Promise.resolve(begin(presented.length > 0));
    return isWatched("load") ? this.#watchedLoad(tokens, first) : this.#load(tokens, first);
  }

  async #watchedLoad(tokens: string[], first: string): Promise<SessionRecord> {
    const id = this.#rows.idOf(this.#rows.keyOf(first));
    const event: LoadEvent = { id, duration: 0, outcome: "failed" };
    const begun = monotonicNow();
    try {
      return await this.#load(tokens, first, event);
    } catch (error) {
      event.code = codeOf(error);
      throw error;
    } finally {
      event.duration = monotonicNow() - begun;
      publish("load", event);
    }
  }

  /** @param event - is told what it came to */
  async #load(tokens: string[], first: string, event?: LoadEvent): Promise<SessionRecord> {
    if (tokens.length > 1) return this.#loadOneOf(tokens, event);
    const key = this.#rows.keyOf(first);
    return this.#recordOf(key, first, await this.#committer.lookUp(key), event);
  }

  /** Somebody has planted all of them but one, or set them with another scope: which one counts, the table may tell. */
  async #loadOneOf(tokens: string[], event: LoadEvent | undefined): Promise<SessionRecord> {
    if (tokens.length > MAX_TOKENS) {
      const keys = tokens.map((token) => this.#rows.keyOf(token));
      publish("duplicate", { id: this.#rows.idOf(keys[0]) });
      note(event, "duplicate");
      return contested(keys);
    }
    const candidates = await Promise.all(
      tokens.map(async (token) => {
        const key = this.#rows.keyOf(token);
        return { token, key, found: await this.#committer.lookUp(key) };
      }),
    );
    const live = candidates.filter(({ found }) => typeof found === "object");
    publish("duplicate", { id: this.#rows.idOf(candidates[0]?.key), live: live.length });
    const [chosen] = live.length > 0 ? live : candidates.filter(({ found }) => found !== undefined);
    if (chosen === undefined || live.length > 1) {
      note(event, "duplicate");
      return contested(live.map(({ key }) => key));
    }
    return this.#recordOf(chosen.key, chosen.token, chosen.found, event);
  }

  /** What the session of a token holds; undefined when there is none, or when it is the one of `mine`. */
  async peek(token: string, mine: string | undefined): Promise<StoredRow | undefined> {
    const key = isToken(token) ? this.#rows.keyOf(token) : undefined;
    if (key === undefined || key === mine) return undefined;
    const found = await this.#committer.lookUp(key);
    return typeof found === "object" ? this.read(key, found) : undefined;
  }

  /**
   * Reads what a row holds. Undefined for bytes that can't be read or were tampered with (an event tells, the row stays), and
   * for a session past a sealed deadline: whoever can write the table can move the expiry, but not what is sealed.
   */
  async read(key: string, found: StoredSession): Promise<StoredRow | undefined> {
    try {
      const row = this.#rows.decode(key, found);
      if (!this.#rows.isSealed) return row;
      return row.deadline.getTime() > (await this.#committer.now()) ? row : undefined;
    } catch (error) {
      if (!(error instanceof SessionDecodeError)) throw error;
      publish("error", { id: error.id, error });
      return undefined;
    }
  }

  async #recordOf(key: string, token: string, found: Found, event: LoadEvent | undefined): Promise<SessionRecord> {
    if (found === undefined) {
      note(event, "unknown");
      return begin(true);
    }
    if (typeof found === "object") {
      const row = await this.read(key, found);
      note(event, row === undefined ? "unreadable" : "live");
      return row === undefined ? begin(true) : new SessionRecord(row, key, token);
    }
    note(event, "ended");
    publish("stale", { id: this.#rows.idOf(key) });
    const record = begin(true);
    if (found === "revoked") {
      record.predecessor = { key, why: found };
    } else {
      record.phase = "stale";
      record.key = key;
    }
    return record;
  }
}

/** @param presented - what the request answers depends on the cookie that came, although that leads nowhere */
function begin(presented: boolean): SessionRecord {
  const record = new SessionRecord();
  record.accessed = presented;
  return record;
}

/** The request is anonymous, as nobody can tell which of several sessions is its own. */
function contested(keys: readonly string[]): SessionRecord {
  const record = begin(true);
  record.rivals = keys;
  return record;
}

function note(event: LoadEvent | undefined, outcome: LoadEvent["outcome"]): void {
  if (event !== undefined) event.outcome = outcome;
}
