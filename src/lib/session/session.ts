import { type Duration, OptionReader, parseDuration, wrong } from "../core/options.ts";
import { FreshLoginRequiredError, LoginRequiredError } from "../core/errors.ts";
import { assertNewUserId } from "../core/user-id.ts";
import type { SessionHost } from "./host.ts";
import { accept, orDefault } from "./schema.ts";
import { refuseAssignment, refuseCallback, refuseIdioms } from "./idioms.ts";
import { loggedInAt, type LoginOptions, readLogin } from "./login-options.ts";
import type { SessionState, SessionStatus } from "./state.ts";
import type { RenewalOptions } from "./transition.ts";
import { type Change, IDLE_TIMEOUT, LIFETIME, LOGGED_IN_AT, numberIn, REMEMBER_ME, tagsIn, userIn } from "./values.ts";
import type { Register, SessionData, SessionKey, SessionValue } from "./session-data.ts";

/** The data of the manager that `Register` names. */
export type RegisteredData = Register extends { manager: { commit(s: Session<infer D>): unknown } } ? D : SessionData;

/** Returns the state behind a session. For the manager and adapters. @throws TypeError when the value is not a session */
export let stateOf: (session: object) => SessionState;
/** Returns the services that a session has from its manager. */
export let hostOf: (session: object) => SessionHost;
/** The property of a wrapper, such as Passport's, that holds the wrapped session. */
export const UNWRAPPED = Symbol("pgstore unwrapped session");

/**
 * The session of one request: a map of values that persists between a client's requests.
 *
 * Values are strings, booleans, numbers, bigints, Dates, Uint8Arrays, null, and plain arrays and objects of these. `get` returns the
 * stored object itself, so changing it in place counts as setting it. Changes stay in memory until the commit, which the middleware makes
 * before the first byte of the response.
 *
 * Every method that changes the session throws `AlreadyCommittedError` after `save()`, after `destroy()`, and once the response's head
 * has left. When the session has ended elsewhere, its changes are dropped and `status` is "destroyed".
 *
 * A `login`, `reauthenticate`, `renewToken` or `reset` that rejects has no effect, then or later. Other changes of the request are kept.
 * When `destroy` rejects, the response's commit tries again.
 */
export class Session<Data = RegisteredData> {
  static {
    const unwrapped = (session: unknown): Session<unknown> => {
      const inner = (session as Session<unknown> | null | undefined)?.[UNWRAPPED];
      if (inner === undefined) throw wrong("session", "a Session, as await manager.load() returns it", session);
      return inner;
    };
    stateOf = (session) => unwrapped(session).#state;
    hostOf = (session) => unwrapped(session).#host;
    for (const [name, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(this.prototype))) {
      const method = refuseCallback(name, value);
      if (name !== "constructor") refuseAssignment(this.prototype, name, get ?? (() => method));
    }
    refuseIdioms(this.prototype);
  }

  readonly #state: SessionState;
  readonly #host: SessionHost;

  /** Wraps a state. Applications get their sessions from `SessionManager`. */
  constructor(state: SessionState, host: SessionHost) {
    this.#state = state;
    this.#host = host;
  }

  /** This session. A wrapper returns the session that it wraps. */
  get [UNWRAPPED](): Session<Data> {
    return this;
  }

  /**
   * Reads a value. When the key is absent, returns the default of its schema, or undefined.
   *
   * @example
   * const cart = session.get("cart") ?? [];
   */
  get<K extends SessionKey<Data>>(key: K): SessionValue<Data, K> | undefined {
    return this.#accessed().values.get(key, this.#host.schema) as SessionValue<Data, K> | undefined;
  }

  /**
   * Sets a value. When parallel requests set different keys, all of them are stored. For the same key, the last commit wins.
   *
   * @throws TypeError, naming the key, when a session can't hold the value; SessionInvalidError when its schema refuses it;
   *   AlreadyCommittedError when the session is already committed
   * @example
   * session.set("cart", [{ sku: "A-1", count: 2 }]);
   */
  set<K extends SessionKey<Data>>(key: K, value: SessionValue<Data, K>): this {
    const state = this.#writable("set", key);
    state.values.apply({ kind: "set", key, value: accept(this.#host.schema, key, value) });
    if (this.#host.schema !== undefined) state.values.read(key); // So that the commit checks changes in place.
    return this;
  }

  /** Tells whether a key is present. */
  has(key: SessionKey<Data>): boolean {
    return this.#accessed().values.has(key);
  }

  /** Removes a key. Returns whether it was present. @throws AlreadyCommittedError when the session is already committed */
  delete(key: SessionKey<Data>): boolean {
    const state = this.#writable("delete", key);
    const present = state.values.has(key);
    if (present) state.values.apply({ kind: "delete", key });
    return present;
  }

  /**
   * Reads a value and removes its key, as for a flash message.
   *
   * @throws AlreadyCommittedError when the session is already committed
   * @example
   * const notice = session.pop("notice"); // shown once
   */
  pop<K extends SessionKey<Data>>(key: K): SessionValue<Data, K> | undefined {
    const state = this.#writable("pop", key);
    return state.values.pop(key, this.#host.schema) as SessionValue<Data, K> | undefined;
  }

  /** Removes every key. Token, user and deadline stay. @throws AlreadyCommittedError when the session is already committed */
  clear(): void {
    const state = this.#writable("clear");
    if (this.size > 0) state.values.apply({ kind: "clear", reserved: false });
  }

  /** Lists the keys, sorted. The array is the caller's. */
  keys(): SessionKey<Data>[] {
    return this.#accessed().values.keys() as SessionKey<Data>[];
  }

  /** The number of keys. */
  get size(): number {
    return this.#accessed().values.size;
  }

  /**
   * Computes a value from the current one. When another request has changed the session first, the commit calls `step` again with the
   * newer value: a counter that 100 parallel requests raise by one ends at 100.
   *
   * @param step - gets the current value (undefined when absent) and returns the new one. It may run several times, so it must be
   *   synchronous and free of side effects
   * @returns the new value, computed from the one that this request knows
   * @throws TypeError, naming the key, when a session can't hold the new value; SessionInvalidError when its schema
   *   refuses it; AlreadyCommittedError when the session is already committed
   * @example
   * session.update("visits", (visits = 0) => visits + 1);
   */
  update<K extends SessionKey<Data>>(
    key: K,
    step: (current: SessionValue<Data, K> | undefined) => SessionValue<Data, K>,
  ): SessionValue<Data, K> {
    const state = this.#writable("update", key);
    const { schema } = this.#host;
    state.values.apply({
      kind: "update",
      key,
      step: (value) => accept(schema, key, step(orDefault(schema, key, value) as SessionValue<Data, K> | undefined)),
    });
    return state.values.read(key) as SessionValue<Data, K>;
  }

  /**
   * Gives the session a new token and ends the old one at once, in the same statement. The data and the deadline stay. Call it whenever
   * the user's privileges change (`login` does), so that a planted or stolen token becomes useless.
   *
   * @param options - `restart: true` begins the lifetime anew
   * @throws StoreUnavailableError or StoreError when the store fails; AlreadyCommittedError when the session is already committed
   * @see OWASP ASVS 5.0.0, 7.2.4 and 7.3.2
   * @example
   * await session.renewToken(); // after a change of roles
   */
  async renewToken(options: { restart?: boolean | undefined } = {}): Promise<void> {
    // Code written before the options existed may pass another value, such as the user's id.
    const read = new OptionReader(Object(options) === options ? options : {}, "renewToken: ");
    const restart = read.bool("restart", false);
    read.end();
    await this.#moveToNewToken("renewToken", [], { keepDeadline: !restart, revive: false });
  }

  /**
   * Ends the session at once and continues with an empty one under a new token, without a user.
   *
   * @throws StoreUnavailableError or StoreError when the store fails; AlreadyCommittedError when the session is already committed
   */
  async reset(): Promise<void> {
    await this.#moveToNewToken("reset", [{ kind: "clear", reserved: true }], { keepDeadline: false, revive: true });
  }

  /**
   * Ends the session at once. The response clears the cookie.
   *
   * @throws StoreUnavailableError or StoreError when the store fails: call it again, or leave it to the response's commit, whose failure
   *   answers the request with an error; AlreadyCommittedError when the session is already committed
   * @example
   * await session.destroy();
   */
  async destroy(): Promise<void> {
    const state = this.#state;
    while (state.transition?.kind !== "destroy") {
      this.#writable("destroy");
      // A commit under way decides which session to end. Its failure is reported to its own caller.
      if (state.pending === undefined) state.planDestroy();
      else await state.pending.catch(() => {});
    }
    await this.#host.flush(state).catch((error: unknown) => {
      state.unseal("destroy");
      throw error;
    });
  }

  /**
   * Binds the session to a user under a new token, ends the old token at once and begins the lifetime anew. A visitor's values stay,
   * unless `keep` says otherwise. Another user's values are dropped. When the session has ended elsewhere, the login begins a new one
   * without the values of the ended session.
   *
   * @param userId - the application's identifier of the user: 1 to 1024 bytes of UTF-8
   * @throws TypeError when the user's id or an option is wrong, or for `tags` when the store keeps none; SchemaError for `tags` on a table
   *   without their column; LoginRefusedError when the user's sessions were revoked during the login; StoreUnavailableError or StoreError
   *   when the store fails; AlreadyCommittedError when the session is already committed
   * @example
   * await session.login(user.id, { remember: form.has("remember") && "30d", keep: ["basket"] });
   */
  async login(userId: string, options: LoginOptions = {}): Promise<void> {
    this.#writable("login");
    assertNewUserId("login", userId);
    const login = readLogin(userId, options);
    if (options.tags !== undefined) this.#host.assertTags();
    const now = this.#host.now();
    const changes: Change[] = [{ kind: "login", login }, loggedInAt(typeof now === "number" ? now : await now)];
    await this.#moveToNewToken("login", changes, { keepDeadline: false, revive: true });
  }

  /**
   * Records that the user has just proved their identity again: sets `loggedInAt` to now, under a new token, and begins the lifetime anew.
   *
   * @throws LoginRequiredError when no user is logged in; StoreUnavailableError or StoreError when the store fails; AlreadyCommittedError
   *   when the session is already committed
   */
  async reauthenticate(): Promise<void> {
    this.#writable("reauthenticate");
    this.requireUser();
    const now = this.#host.now();
    const at = loggedInAt(typeof now === "number" ? now : await now);
    await this.#moveToNewToken("reauthenticate", [at], { keepDeadline: false, revive: false });
  }

  /**
   * Returns the id of the user who is logged in.
   *
   * @throws LoginRequiredError, which adapters answer with 401, when no user is logged in
   * @example
   * const userId = session.requireUser();
   */
  requireUser(): string {
    const { userId } = this;
    if (userId === undefined) throw new LoginRequiredError();
    return userId;
  }

  /**
   * Returns the id of a user whose last `login` or `reauthenticate` is at most `age` ago.
   *
   * @param age - milliseconds or a text such as `"15m"`
   * @throws LoginRequiredError (401) when no user is logged in; FreshLoginRequiredError (403) when the login is older or of unknown age
   * @see OWASP ASVS 5.0.0, 7.5.1 and 7.5.3
   * @example
   * const userId = session.requireFresh("15m"); // before a change of the password
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

  /** Ends the session, as `destroy` does. To continue with an empty one ("You are logged out"), call `reset()` instead. */
  logout(): Promise<void> {
    return this.destroy();
  }

  /**
   * Commits now, before streaming or a long computation. The cookie leaves with the response's head. Later changes throw.
   *
   * @throws StoreUnavailableError or StoreError when the store fails; AlreadyCommittedError when the session is already committed
   */
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
   * Makes the cookie persistent for the life of the session (true), or lets it end with the browser's session (false). A remembered
   * session ignores the manager's `idleTimeout`. Only its own, from `setIdleTimeout` or `login`, applies.
   *
   * @throws TypeError when `remember` is not a boolean; AlreadyCommittedError when the session is already committed
   */
  rememberMe(remember: boolean): void {
    const state = this.#writable("rememberMe");
    if (typeof remember !== "boolean") throw wrong("rememberMe", "a boolean", remember);
    state.values.apply({ kind: "set", key: REMEMBER_ME, value: remember });
  }

  /**
   * Sets this session's allowed inactivity, which overrides the manager's `idleTimeout`.
   *
   * @param idleTimeout - milliseconds or a text such as `"20m"`. 0 turns the timeout off, so that only the deadline counts
   * @throws TypeError when it is no duration; AlreadyCommittedError when the session is already committed
   */
  setIdleTimeout(idleTimeout: Duration): void {
    const { values } = this.#writable("setIdleTimeout");
    values.apply({ kind: "set", key: IDLE_TIMEOUT, value: parseDuration("setIdleTimeout", idleTimeout) });
  }

  /**
   * The secret that the cookie carries. Never log it. Undefined once the session has ended, and for a session from `manager.iterate()`,
   * whose token is unknown.
   */
  get token(): string | undefined {
    const state = this.#accessed();
    if (state.isOver) return undefined;
    return state.phase === "new" ? state.ensureToken() : state.token;
  }

  /** The key of the session's row: the token's SHA-256 in base64url, safe to show and to log. With `hashTokens: false` it is the token. */
  get id(): string | undefined {
    const { phase, id } = this.#accessed();
    const { token } = this;
    return phase === "stored" ? id : token === undefined ? undefined : this.#host.idOf(token);
  }

  /** The instant at which the session ends, regardless of activity. An estimate until the first commit of a new session. */
  get deadline(): Date {
    const state = this.#accessed();
    return new Date(state.values.deadline ?? this.#host.newDeadline(numberIn(state.values.all, LIFETIME)));
  }

  /**
   * Sets the instant at which the session ends, regardless of activity.
   *
   * @param deadline - by the database's clock
   * @throws TypeError when it is not a valid Date; AlreadyCommittedError when the session is already committed
   */
  setDeadline(deadline: Date): void {
    const state = this.#writable("setDeadline");
    if (!(deadline instanceof Date) || Number.isNaN(deadline.getTime())) {
      throw wrong("setDeadline", "a valid Date", deadline);
    }
    state.values.apply({ kind: "deadline", deadline: new Date(deadline) });
  }

  /** The id of the user who is logged in. Undefined for an anonymous session. */
  get userId(): string | undefined {
    return userIn(this.#accessed().values.all);
  }

  /** The time of the last `login` or `reauthenticate`, by the store's clock. Undefined while no user is logged in. */
  get loggedInAt(): Date | undefined {
    const instant = numberIn(this.#accessed().values.all, LOGGED_IN_AT);
    return this.userId === undefined || instant === undefined ? undefined : new Date(instant);
  }

  /** The tags that `login` has set. The array is the caller's. */
  get tags(): string[] {
    return tagsIn(this.#accessed().values.all);
  }

  /** The state of the session: "new", "unmodified", "modified" or "destroyed". */
  get status(): SessionStatus {
    return this.#accessed().status;
  }

  /** Moves to a new token, at once if there is a row. @param changes - made with the move, and undone if it fails */
  #moveToNewToken(operation: string, changes: readonly Change[], options: RenewalOptions): Promise<void> {
    const state = this.#accessed();
    return state.whenIdle(operation, async () => {
      state.planRenewal(changes, options);
      if (state.phase === "stored") await this.#host.flush(state);
      else await this.#host.begin?.(state, changes);
    });
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
