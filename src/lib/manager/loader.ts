import { SessionDecodeError } from "../core/errors.ts";
import { codeOf, isWatched, type LoadEvent, publish } from "../core/events.ts";
import type { Found, StoredSession } from "../core/store.ts";
import { monotonicNow } from "../core/time.ts";
import { isToken } from "../core/token.ts";
import { SessionState } from "../session/state.ts";
import type { StoredRow } from "../session/values.ts";
import type { RowCodec } from "./row-codec.ts";
import type { StoreAccess } from "./store-access.ts";

/** Tokens of one request that are looked up. Somebody who can plant cookies must not choose which of them those are. */
const MAX_TOKENS = 4;

/** Finds the session that a request's tokens lead to: the only place where a token is trusted. */
export class Loader {
  readonly #access: StoreAccess;
  readonly #rows: RowCodec;

  constructor(access: StoreAccess, rows: RowCodec) {
    this.#access = access;
    this.#rows = rows;
  }

  /**
   * Loads a session, without a query when nothing presented has the form of a token.
   *
   * @param presented - what came in place of a token, well-formed or not
   * @param open - makes of the state what the caller wants
   */
  load<T>(presented: readonly string[], open: (state: SessionState) => T): T | Promise<T> {
    const [first] = presented;
    if (presented.length === 1 && first !== undefined && isToken(first) && !isWatched("load")) {
      const id = this.#rows.idOf(first);
      return this.#lookUp(id).then((found) => {
        const state = this.#stateOf(id, first, found, undefined);
        return state instanceof Promise ? state.then(open) : open(state);
      });
    }
    const tokens = [...new Set(presented)].filter(isToken);
    if (tokens.length === 0) return open(SessionState.empty(presented.length > 0));
    return (isWatched("load") ? this.#watchedLoad(tokens) : this.#loadOneOf(tokens)).then(open);
  }

  /** Looks an id up. A store may also throw at once. */
  #lookUp(id: string): Promise<Found> {
    try {
      return Promise.resolve(this.#access.lookUp(id));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #watchedLoad(tokens: string[]): Promise<SessionState> {
    const id = this.#rows.publicId(this.#rows.idOf(tokens[0] ?? ""));
    const event: LoadEvent = { id, duration: 0, outcome: "failed" };
    const begun = monotonicNow();
    try {
      return await this.#loadOneOf(tokens, event);
    } catch (error) {
      event.code = codeOf(error);
      throw error;
    } finally {
      event.duration = monotonicNow() - begun;
      publish("load", event);
    }
  }

  /**
   * Looks all tokens up. Of several, all but one were planted, or set with another scope: which one counts, the table may tell.
   *
   * @param event - is told what it came to
   */
  async #loadOneOf(tokens: string[], event?: LoadEvent): Promise<SessionState> {
    if (tokens.length > MAX_TOKENS) {
      const ids = tokens.map((token) => this.#rows.idOf(token));
      publish("duplicate", { id: this.#rows.publicId(ids[0]) });
      note(event, "duplicate");
      return SessionState.contest(ids);
    }
    const candidates = await Promise.all(
      tokens.map(async (token) => {
        const id = this.#rows.idOf(token);
        return { token, id, found: await this.#access.lookUp(id) };
      }),
    );
    const [only] = candidates;
    if (candidates.length === 1 && only !== undefined) return this.#stateOf(only.id, only.token, only.found, event);
    const live = candidates.filter(({ found }) => typeof found === "object");
    publish("duplicate", { id: this.#rows.publicId(only?.id), live: live.length });
    const [chosen] = live.length > 0 ? live : candidates.filter(({ found }) => found !== undefined);
    if (chosen === undefined || live.length > 1) {
      note(event, "duplicate");
      return SessionState.contest(live.map(({ id }) => id));
    }
    return this.#stateOf(chosen.id, chosen.token, chosen.found, event);
  }

  /** What the session of a token holds; undefined when there is none, or when it is the one of `mine`. */
  async peek(token: string, mine: string | undefined): Promise<StoredRow | undefined> {
    const id = isToken(token) ? this.#rows.idOf(token) : undefined;
    if (id === undefined || id === mine) return undefined;
    const found = await this.#access.lookUp(id);
    return typeof found === "object" ? this.read(id, found) : undefined;
  }

  /**
   * Reads what a row holds. Undefined for bytes that can't be read or were tampered with (an event tells, the row stays), and
   * for a session past a sealed deadline: whoever can write the table can move the expiry, but not what is sealed.
   */
  read(id: string, found: StoredSession): StoredRow | undefined | Promise<StoredRow | undefined> {
    let row: StoredRow;
    try {
      row = this.#rows.decode(id, found);
    } catch (error) {
      if (!(error instanceof SessionDecodeError)) throw error;
      publish("error", { id: error.id, error });
      return undefined;
    }
    if (!this.#rows.isSealed) return row;
    const now = this.#access.now();
    const live = (time: number): StoredRow | undefined => (row.deadline.getTime() > time ? row : undefined);
    return typeof now === "number" ? live(now) : now.then(live);
  }

  #stateOf(
    id: string,
    token: string,
    found: Found,
    event: LoadEvent | undefined,
  ): SessionState | Promise<SessionState> {
    if (found === undefined) {
      note(event, "unknown");
      return SessionState.empty(true);
    }
    if (typeof found === "object") {
      const open = (row: StoredRow | undefined): SessionState => {
        note(event, row === undefined ? "unreadable" : "live");
        return row === undefined ? SessionState.empty(true) : SessionState.load(row, id, token);
      };
      const row = this.read(id, found);
      return row instanceof Promise ? row.then(open) : open(row);
    }
    note(event, "ended");
    publish("stale", { id: this.#rows.publicId(id) });
    return SessionState.loadEnded(id, found);
  }
}

function note(event: LoadEvent | undefined, outcome: LoadEvent["outcome"]): void {
  if (event !== undefined) event.outcome = outcome;
}
