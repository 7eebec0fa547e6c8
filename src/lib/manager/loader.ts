import { SessionDecodeError, SessionInvalidError } from "../core/errors.ts";
import { CHANNELS, codeOf, type LoadEvent, publish } from "../core/events.ts";
import type { LoginDetails } from "../core/login-details.ts";
import type { Found, StoredSession } from "../core/store.ts";
import { isToken } from "../core/token.ts";
import { cookieValues } from "../http/cookie.ts";
import { bearerToken } from "../http/headers.ts";
import { type ClientSource, recordedClient } from "../session/request.ts";
import { SessionState } from "../session/state.ts";
import type { StoredRow } from "../session/values.ts";
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

/** The headers of a request that may carry a token. The manager's `transport` decides which one is read. */
export interface Credentials {
  /** The value of the header Cookie, several of them joined by `;`. */
  cookie?: string | null | undefined;
  /** The value of the header Authorization. */
  authorization?: string | null | undefined;
}

/** Finds the session of a request's tokens. No other code trusts a token. */
export class Loader {
  readonly #access: StoreAccess;

  /** Reads from a store. */
  constructor(access: StoreAccess) {
    this.#access = access;
  }

  /** Returns the well-formed tokens of a request, from the manager's transport only. */
  tokensOf({ cookie, authorization }: Credentials): readonly string[] {
    const { tokenHeader, cookie: own } = this.#access.options;
    if (tokenHeader === undefined) return cookieValues(cookie ?? undefined, own.name, isToken);
    const token = bearerToken(authorization ?? undefined);
    return token !== undefined && isToken(token) ? [token] : [];
  }

  /**
   * Loads a session, synchronously and without a query when no token is well-formed.
   *
   * @param presented - the values in place of a token, well-formed or not
   * @param open - turns the state into the caller's result
   */
  load<T>(presented: readonly string[], open: (state: SessionState) => T): T | Promise<T> {
    const tokens = [...new Set(presented)].filter(isToken);
    return tokens.length === 0 ? open(SessionState.empty(presented.length > 0)) : this.#loadTokens(tokens, open);
  }

  /**
   * Loads the session of a request, synchronously and without a query when it has no well-formed token.
   *
   * @param client - the origin of the request
   * @param open - turns the state into the caller's result. With `next` it must not throw
   * @param next - gets an error of the store. Without it the result rejects
   */
  loadFrom<T>(
    credentials: Credentials,
    client: ClientSource | undefined,
    open: (state: SessionState) => T,
    next?: { failed(error: unknown): T },
  ): T | Promise<T> {
    const tokens = this.tokensOf(credentials);
    if (tokens.length > 0) return this.#loadTokens(tokens, open, client, next);
    const state = SessionState.empty();
    state.noteRequest(client, this.#recorded(client));
    return open(state);
  }

  async #loadTokens<T>(
    tokens: readonly string[],
    open: (state: SessionState) => T,
    client?: ClientSource,
    next?: { failed(error: unknown): T },
  ): Promise<T> {
    // Read now, as a client that has left has no address.
    const recorded = this.#recorded(client);
    let state: SessionState;
    try {
      if (CHANNELS.load.hasSubscribers) state = await this.#watchedLoad(tokens);
      else if (tokens.length > 1) state = await this.#loadOneOf(tokens);
      else {
        const [token = ""] = tokens;
        const id = this.#access.idOf(token);
        const found = this.#stateOf(id, token, await this.#access.reader.lookUp(id), undefined);
        // Another await would cost each request a turn of the queue of promises.
        state = found instanceof Promise ? await found : found;
      }
    } catch (error) {
      if (next === undefined) throw error;
      return next.failed(error);
    }
    state.noteRequest(client, recorded);
    return open(state);
  }

  /** Returns the part of a client that a login stores. */
  #recorded(client: ClientSource | undefined): LoginDetails | undefined {
    const { options } = this.#access;
    return client && (options.recordIp || options.recordUserAgent) ? recordedClient(client, options) : undefined;
  }

  async #watchedLoad(tokens: readonly string[]): Promise<SessionState> {
    const id = this.#access.publicId(this.#access.idOf(tokens[0] ?? ""));
    const event: LoadEvent = { id, duration: 0, outcome: "failed" };
    const begun = performance.now();
    try {
      return await this.#loadOneOf(tokens, event);
    } catch (error) {
      event.code = codeOf(error);
      throw error;
    } finally {
      event.duration = performance.now() - begun;
      publish("load", event);
    }
  }

  /** Looks all tokens up and chooses the one that counts. @param event - gets the outcome */
  async #loadOneOf(tokens: readonly string[], event?: LoadEvent): Promise<SessionState> {
    if (tokens.length > MAX_TOKENS) {
      const ids = tokens.map((token) => this.#access.idOf(token));
      publish("duplicate", { id: this.#access.publicId(ids[0]) });
      note(event, "duplicate");
      return SessionState.contest(ids);
    }
    const candidates = await Promise.all(
      tokens.map(async (token) => {
        const id = this.#access.idOf(token);
        return { token, id, found: await this.#access.reader.lookUp(id) };
      }),
    );
    const [only] = candidates;
    if (candidates.length === 1 && only !== undefined) return this.#stateOf(only.id, only.token, only.found, event);
    const live = candidates.filter(({ found }) => typeof found === "object");
    publish("duplicate", { id: this.#access.publicId(only?.id), live: live.length });
    const [chosen] = live.length > 0 ? live : candidates.filter(({ found }) => found !== undefined);
    if (chosen === undefined || live.length > 1) {
      note(event, "duplicate");
      return SessionState.contest(live.map(({ id }) => id));
    }
    return this.#stateOf(chosen.id, chosen.token, chosen.found, event);
  }

  /** Reads the session of a token. Undefined when there is none, or when its id is `mine`. */
  async peek(token: string, mine: string | undefined): Promise<StoredRow | undefined> {
    const id = isToken(token) ? this.#access.idOf(token) : undefined;
    if (id === undefined || id === mine) return undefined;
    const found = await this.#access.reader.lookUp(id);
    return typeof found === "object" ? this.read(id, found) : undefined;
  }

  /**
   * Decodes a row. Returns undefined for unreadable bytes, which are published on `pgstore:error` and stay in the table. Also for a session
   * past a sealed deadline: write access to the table can move the expiry, but not a sealed deadline.
   */
  read(id: string, found: StoredSession): StoredRow | undefined | Promise<StoredRow | undefined> {
    let row: StoredRow;
    try {
      row = this.#access.decode(id, found);
    } catch (error) {
      if (!(error instanceof SessionDecodeError)) throw error;
      publish("error", { id: error.id, error });
      return undefined;
    }
    if (this.#access.options.codec.isSealed !== true) return row;
    const now = this.#access.now();
    const live = (time: number): StoredRow | undefined => (row.deadline.getTime() > time ? row : undefined);
    return typeof now === "number" ? live(now) : Promise.resolve(now).then(live);
  }

  /** Decodes a listed row. With `onInvalid: "fail"`, a row with a refused value is published and skipped. */
  async readListed(id: string, found: StoredSession): Promise<StoredRow | undefined> {
    try {
      return await this.read(id, found);
    } catch (error) {
      if (!(error instanceof SessionInvalidError)) throw error;
      publish("error", { id: this.#access.publicId(id), error });
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
      const row = this.read(id, found);
      if (row instanceof Promise) return row.then((read) => stateOfRow(read, id, token, event));
      return stateOfRow(row, id, token, event);
    }
    note(event, "ended");
    publish("stale", { id: this.#access.publicId(id) });
    const state = SessionState.empty(true);
    state.endElsewhere(id, found);
    return state;
  }
}

function stateOfRow(row: StoredRow | undefined, id: string, token: string, event: LoadEvent | undefined): SessionState {
  note(event, row === undefined ? "unreadable" : "live");
  return row === undefined ? SessionState.empty(true) : new SessionState(row, id, token);
}

function note(event: LoadEvent | undefined, outcome: LoadEvent["outcome"]): void {
  if (event !== undefined) event.outcome = outcome;
}
