import { type Duration, OptionReader, parseDuration, wrong } from "../core/options.ts";
import { FreshLoginRequiredError, LoginRequiredError } from "../core/errors.ts";
import { createToken } from "../core/token.ts";
import { assertNewUserId } from "../core/user-id.ts";
import { assertValue, type Value } from "../core/value.ts";
import type { SessionHost } from "./host.ts";
import { refuseIdioms } from "./idioms.ts";
import { type LoginOptions, readLogin } from "./login-options.ts";
import type { Renewal, SessionState, SessionStatus } from "./state.ts";
import { IDLE_TIMEOUT, isReserved, LOGGED_IN_AT, numberIn, REMEMBER_ME, tagsIn, USER_ID } from "./reserved.ts";
import type { Change } from "./values.ts";
import type { SessionData, SessionKey, SessionValue } from "./session-data.ts";

/** The state behind a session, for the manager. */
export let stateOf: (session: object) => SessionState;

/**
 * The session of one request: a map of values that outlives it.
 *
 * Values are strings, booleans, numbers, bigints, Dates, Uint8Arrays, null, and plain arrays and objects of these. What
 * `get` returns is the stored object itself: changing it in place counts as setting it. Changes are kept in memory until
 * the commit, which the middleware makes before the first byte of the response.
 *
 * Every method that changes the session throws `AlreadyCommittedError` after `save()`, `destroy()` and the response's
 * head. When the session was ended elsewhere meanwhile, its changes are dropped and `status` is "destroyed".
 *
 * A `login`, `reauthenticate`, `renewToken` or `reset` that rejects has not happened, and does not happen later: the session goes on as it was
 * before, with what was set beside it. A `destroy` that rejects is tried again by the response's commit.
 */
export class Session<Data = SessionData> {
  static {
    stateOf = (session) => (session as Session<unknown>).#state;
    refuseIdioms(this.prototype);
  }

  readonly #state: SessionState;
  readonly #host: SessionHost;

  /** For `SessionManager`; applications get their sessions from it. */
  constructor(state: SessionState, host: SessionHost) {
    this.#state = state;
    this.#host = host;
  }

  /** Reads a value; undefined when the key is absent. */
  get<K extends SessionKey<Data>>(key: K): SessionValue<Data, K> | undefined {
    const state = this.#accessed();
    return (isReserved(key) ? undefined : state.values.read(key)) as SessionValue<Data, K> | undefined;
  }

  /**
   * Sets a value. Two requests that set different keys at the same time both keep theirs.
   *
   * @throws TypeError when a session can't hold the value; it names the key
   */
  set<K extends SessionKey<Data>>(key: K, value: SessionValue<Data, K>): this {
    const state = this.#writable("set", key);
    assertValue(key, value);
    state.values.apply({ kind: "set", key, value });
    return this;
  }

  /** Says whether a key is present. */
  has(key: SessionKey<Data>): boolean {
    return !isReserved(key) && this.#accessed().values.all.has(key);
  }

  /** Removes a key. Returns whether it was there. */
  delete(key: SessionKey<Data>): boolean {
    const state = this.#writable("delete", key);
    const present = state.values.all.has(key);
    if (present) state.values.apply({ kind: "delete", key });
    return present;
  }

  /** Reads a value once and removes it: flash messages. */
  pop<K extends SessionKey<Data>>(key: K): SessionValue<Data, K> | undefined {
    const state = this.#writable("pop", key);
    const value = state.values.all.get(key);
    if (state.values.all.has(key)) state.values.apply({ kind: "delete", key });
    return value as SessionValue<Data, K> | undefined;
  }

  /** Removes every key. Token, user and lifetime stay. */
  clear(): void {
    const state = this.#writable("clear");
    if (this.size > 0) state.values.apply({ kind: "clear", reserved: false });
  }

  /** The keys, sorted. */
  keys(): SessionKey<Data>[] {
    const keys = [...this.#accessed().values.all.keys()].filter((key) => !isReserved(key));
    return keys.toSorted() as SessionKey<Data>[];
  }

  /** The number of keys. */
  get size(): number {
    return this.#accessed().values.size;
  }

  /**
   * Computes a value from the present one. When another request has changed the session meanwhile, `step` runs again
   * on the value that is there by then: a counter that 100 parallel requests raise by one ends at 100.
   *
   * @param step - gets the present value (undefined when absent) and returns the new one; without side effects, as it
   *   may run several times, and not asynchronous
   * @returns the new value, as far as it is known now
   */
  update<K extends SessionKey<Data>>(
    key: K,
    step: (current: SessionValue<Data, K> | undefined) => SessionValue<Data, K>,
  ): SessionValue<Data, K> {
    const state = this.#writable("update", key);
    state.values.apply({
      kind: "update",
      key,
      step: (current) => {
        const next: unknown = step(current as SessionValue<Data, K> | undefined);
        assertValue(key, next);
        return next;
      },
    });
    return state.values.read(key) as SessionValue<Data, K>;
  }

  /**
   * Gives the session a new token and ends the old one in the same step, at once. The data and the deadline stay. Call it
   * whenever the rights of the user change (`login` does); an attacker who planted or saw the old token is left with nothing.
   *
   * @param options - restart: the lifetime begins anew
   * @see OWASP ASVS 5.0.0, 7.2.4 and 7.3.2
   */
  async renewToken(options: { restart?: boolean } = {}): Promise<void> {
    // Code written before there were options may pass anything else, such as the user's id.
    const read = new OptionReader(Object(options) === options ? options : {}, "renewToken: ");
    const restart = read.bool("restart", false);
    read.end();
    await this.#underNewToken("renewToken", [], { keepDeadline: !restart, revive: false });
  }

  /** Drops everything that the session holds, its user included, and goes on under a new token. The old one is dead at once. */
  async reset(): Promise<void> {
    const changes: Change[] = [{ kind: "clear", reserved: true }];
    await this.#underNewToken("reset", changes, { keepDeadline: false, revive: true });
  }

  /**
   * Ends the session: its row is removed at once, and the response clears the cookie. When it rejects, it may be called again;
   * otherwise the response's commit tries again, and the answer is an error where that fails, too.
   */
  async destroy(): Promise<void> {
    const state = this.#state;
    while (state.transition?.kind !== "destroy") {
      this.#writable("destroy");
      // A commit under way decides what there is to end. Its failure is reported to whoever began it.
      if (state.pending === undefined) state.plan({ kind: "destroy" });
      else await state.pending.catch(() => {});
    }
    await this.#host.flush(state);
    state.seal("destroy");
  }

  /**
   * Binds the session to a user, under a new token; the old one is dead at once, and the lifetime begins anew. What a visitor's
   * session held stays, or what `keep` says of it; nothing stays of what another user's held. Does so too when the session was
   * ended elsewhere meanwhile: then a new one begins, without what the ended one held.
   *
   * @param userId - the application's own identifier of the user, a string that is not empty, up to 1024 bytes
   * @throws TypeError when the user's id or an option is wrong; SchemaError for `tags` on a table without their column
   * @example
   * await session.login(user.id, { remember: form.has("remember") && "30d", keep: ["basket"] });
   */
  async login(userId: string, options: LoginOptions = {}): Promise<void> {
    this.#writable("login");
    assertNewUserId("login", userId);
    // Before anything is asked of the store: a login that makes no sense fails at once.
    readLogin(userId, options, 0);
    if (options.tags !== undefined) this.#host.assertTags();
    const now = this.#host.now();
    const login = readLogin(userId, options, typeof now === "number" ? now : await now);
    const changes: Change[] = [{ kind: "login", login }];
    await this.#underNewToken("login", changes, { keepDeadline: false, revive: true });
  }

  /**
   * Takes note that the user has just proved again who they are: under a new token, `loggedInAt` is now, and the lifetime begins
   * anew.
   *
   * @throws LoginRequiredError when nobody is logged in
   */
  async reauthenticate(): Promise<void> {
    this.#writable("reauthenticate");
    this.requireUser();
    const now = this.#host.now();
    const value = Math.floor(typeof now === "number" ? now : await now);
    const changes: Change[] = [{ kind: "set", key: LOGGED_IN_AT, value }];
    await this.#underNewToken("reauthenticate", changes, { keepDeadline: false, revive: false });
  }

  /**
   * The user who is logged in.
   *
   * @throws LoginRequiredError, which adapters answer with 401, when nobody is
   */
  requireUser(): string {
    const { userId } = this;
    if (userId === undefined) throw new LoginRequiredError();
    return userId;
  }

  /**
   * The user who has logged in, or proved again who they are, not longer ago than that.
   *
   * @param age - milliseconds or a text such as `"15m"`
   * @throws LoginRequiredError (401) when nobody is logged in; FreshLoginRequiredError (403) when the login is older, or when it is
   *   not known how old it is
   * @see OWASP ASVS 5.0.0, 7.5.1 and 7.5.3
   */
  requireFresh(age: Duration): string {
    const milliseconds = parseDuration("requireFresh: age", age);
    const userId = this.requireUser();
    const { loggedInAt } = this;
    if (loggedInAt === undefined || this.#host.estimatedNow() - loggedInAt.getTime() > milliseconds) {
      throw new FreshLoginRequiredError();
    }
    return userId;
  }

  /** Ends the session. To go on with an empty one (a message "you are logged out"), call `reset()` instead. */
  logout(): Promise<void> {
    return this.destroy();
  }

  /** Commits now, before streaming or a long computation. The cookie goes out with the response's head. */
  async save(): Promise<void> {
    const state = this.#writable("save");
    state.seal("save");
    try {
      await this.#host.flush(state);
    } catch (error) {
      state.unseal("save");
      throw error;
    }
  }

  /**
   * Makes this session's cookie persistent, as long as the session lives, or (false) end with the browser's session. While it is
   * remembered, the manager's idle timeout does not end it; `setIdleTimeout` gives it one of its own.
   */
  rememberMe(remember: boolean): void {
    const state = this.#writable("rememberMe");
    if (typeof remember !== "boolean") throw wrong("rememberMe", "a boolean", remember);
    state.values.apply({ kind: "set", key: REMEMBER_ME, value: remember });
  }

  /**
   * Sets this session's allowed inactivity, in the place of the manager's `idleTimeout`.
   *
   * @param idleTimeout - milliseconds or a text such as `"20m"`; 0: any, the session lives until its deadline
   */
  setIdleTimeout(idleTimeout: Duration): void {
    const state = this.#writable("setIdleTimeout");
    const value = parseDuration("setIdleTimeout", idleTimeout);
    state.values.apply({ kind: "set", key: IDLE_TIMEOUT, value });
  }

  /**
   * The secret that the cookie carries. Never log it. Undefined once the session has ended, and for sessions that were
   * listed by `iterate()`: their token can't be known.
   */
  get token(): string | undefined {
    const state = this.#accessed();
    if (state.isOver) return undefined;
    return state.phase === "new" ? state.ensureToken() : state.token;
  }

  /** The key of the session's row: the token's SHA-256 in base64url, safe to show and to log (unless hashTokens is off). */
  get id(): string | undefined {
    const { phase, id } = this.#accessed();
    const { token } = this;
    return phase === "stored" ? id : token === undefined ? undefined : this.#host.idOf(token);
  }

  /** The instant at which the session ends, however active it is. For a new session an estimate until its first commit. */
  get deadline(): Date {
    const state = this.#accessed();
    return new Date(state.values.deadline ?? this.#host.newDeadline(state.ownTimes.lifetime));
  }

  /** Sets the instant at which the session ends, however active it is, in the database's time. */
  setDeadline(deadline: Date): void {
    const state = this.#writable("setDeadline");
    if (!(deadline instanceof Date) || Number.isNaN(deadline.getTime())) {
      throw wrong("setDeadline", "a valid Date", deadline);
    }
    state.values.apply({ kind: "deadline", deadline: new Date(deadline) });
  }

  /** The user that `login` has bound; undefined for an anonymous session. */
  get userId(): string | undefined {
    const userId: Value | undefined = this.#accessed().values.all.get(USER_ID);
    return typeof userId === "string" ? userId : undefined;
  }

  /** When the user logged in, or last proved again who they are, by the store's clock; undefined while nobody is logged in. */
  get loggedInAt(): Date | undefined {
    const { all } = this.#accessed().values;
    const instant = numberIn(all, LOGGED_IN_AT);
    return this.userId === undefined || instant === undefined ? undefined : new Date(instant);
  }

  /** The tags that `login` has given it. Owned by the caller. */
  get tags(): string[] {
    return tagsIn(this.#accessed().values.all);
  }

  /** Where the session stands. */
  get status(): SessionStatus {
    return this.#accessed().status;
  }

  async #underNewToken(
    operation: string,
    changes: readonly Change[],
    how: Pick<Renewal, "keepDeadline" | "revive">,
  ): Promise<void> {
    const state = this.#writable(operation);
    // A commit under way decides whether there is a row; its failure is reported to whoever began it.
    while (state.pending !== undefined) {
      await state.pending.catch(() => {});
      this.#writable(operation);
    }
    const token = createToken();
    if (how.revive && state.isOver) state.restart(token, "replaced");
    if (how.revive) state.markDeliberate();
    for (const change of changes) state.values.apply(change);
    if (state.phase === "stored") {
      state.plan({ kind: "renew", token, changes, ...how });
      await this.#host.flush(state);
    } else {
      // Nobody has its token yet.
      state.changeToken(token);
    }
  }

  #accessed(): SessionState {
    this.#state.noteAccess();
    return this.#state;
  }

  #writable(operation: string, key?: string): SessionState {
    const state = this.#accessed();
    state.assertWritable(operation, key);
    return state;
  }
}
