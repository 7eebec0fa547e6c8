import { SessionDecodeError, SessionInvalidError } from "../core/errors.ts";
import { codeOf, isWatched, type LoadEvent, publish } from "../core/events.ts";
import type { Found, StoredSession } from "../core/store.ts";
import { monotonicNow } from "../core/time.ts";
import { isToken } from "../core/token.ts";
import { SessionState } from "../session/state.ts";
import type { StoredRow } from "../session/values.ts";
import type { RowCodec } from "./row-codec.ts";
import type { StoreAccess } from "./store-access.ts";

/*
 * Finding the session of a request. A malformed token is ignored without a query. An unknown or expired token gives an empty session with
 * another token, so a token that a client made up is never adopted.
 *
 * A request may have several cookies of the session's name: an attacker planted one, or a release changed the cookie's scope. Up to four
 * tokens are looked up. If exactly one of them is live, it counts. If none is live, the first tombstone counts. If two are live, or more than
 * four tokens came, none counts. The request is then anonymous, and a session that begins in it ends the ones that were presented.
 *
 * Why: docs/decisions/025-several-cookies.md
 */

/** Maximum number of tokens that are looked up. With more, an attacker who plants cookies could choose which ones are. */
const MAX_TOKENS = 4;

/** Finds the session of a request's tokens. No other code trusts a token. */
export class Loader {
  readonly #access: StoreAccess;
  readonly #rows: RowCodec;

  /** Reads from a store. */
  constructor(access: StoreAccess, rows: RowCodec) {
    this.#access = access;
    this.#rows = rows;
  }

  /**
   * Loads a session, synchronously and without a query when no token is well-formed.
   *
   * @param presented - the values in place of a token, well-formed or not
   * @param open - turns the state into the caller's result
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

  /** Looks an id up. A synchronous error of the store becomes a rejection. */
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

  /** Looks all tokens up and chooses the one that counts. @param event - gets the outcome */
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

  /** Reads the session of a token. Undefined when there is none, or when its id is `mine`. */
  async peek(token: string, mine: string | undefined): Promise<StoredRow | undefined> {
    const id = isToken(token) ? this.#rows.idOf(token) : undefined;
    if (id === undefined || id === mine) return undefined;
    const found = await this.#access.lookUp(id);
    return typeof found === "object" ? this.read(id, found) : undefined;
  }

  /**
   * Decodes a row. Returns undefined for unreadable bytes, which are published on `pgstore:error` and stay in the table. Also for a session
   * past a sealed deadline: write access to the table can move the expiry, but not a sealed deadline.
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
    return typeof now === "number" ? live(now) : Promise.resolve(now).then(live);
  }

  /** Decodes a row of a list. Also a row with values that its schema refuses, with `onInvalid: "fail"`, is published and skipped. */
  async readListed(id: string, found: StoredSession): Promise<StoredRow | undefined> {
    try {
      return await this.read(id, found);
    } catch (error) {
      if (!(error instanceof SessionInvalidError)) throw error;
      publish("error", { id: this.#rows.publicId(id), error });
      return undefined;
    }
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
