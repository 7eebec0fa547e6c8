import { systemNow } from "../core/time.ts";
import { assertKnown, OptionReader, wrong } from "../core/options.ts";
import { AlreadyCommittedError, SessionMissingError } from "../core/errors.ts";
import type { Store, StoreExtras } from "../core/store.ts";
import { SessionState } from "../session/state.ts";
import type { SessionHost } from "../session/host.ts";
import { stateOf, Session } from "../session/session.ts";
import type { CheckedData, SessionData } from "../session/session-data.ts";
import type { ClientSource } from "../session/request.ts";
import { isReserved, REMEMBER_ME } from "../session/values.ts";
import { type CommitContext, CommitResult } from "./commit-result.ts";
import { assertStore } from "./complete-store.ts";
import { Committer } from "./committer.ts";
import { continueSession } from "./continuation.ts";
import { LazySession, type SessionFor } from "./lazy-session.ts";
import { type Credentials, Loader } from "./loader.ts";
import { type ManagerOptions, resolveOptions, type ResolvedOptions } from "./options.ts";
import { warnOfSharing } from "./scope.ts";
import { StoreAccess } from "./store-access.ts";
import type { DestroyAllOptions, DestroyByIdOptions, DestroyByUserOptions, ListOptions } from "./user-sessions.ts";
import { UserSessions, type UserSession } from "./user-sessions.ts";

/** Continues a request after its session was opened. `opened` must not throw when it is called after a load. */
export interface AfterOpen {
  opened(): void;
  /** The session could not be loaded. */
  failed(error: unknown): void;
}

/**
 * Loads the sessions of requests, commits them, and ends sessions from outside.
 *
 * One manager serves any number of parallel requests. It holds no connection and no timer.
 *
 * @example
 * const manager = new SessionManager(new PgStore(pool), { idleTimeout: "20m" });
 */
export class SessionManager<Data = SessionData, Lazy extends boolean = false> {
  /** The options, checked and with their defaults. */
  readonly options: Readonly<ResolvedOptions>;
  /** The store of the sessions. */
  readonly store: Store & StoreExtras;
  /**
   * Lists and ends sessions by a user's name in the table, regardless of this manager's `scope`. For operators. The name of user 1 in the
   * scope "admin" is `%admin:1`.
   */
  readonly tableUsers: Pick<SessionManager<Data, Lazy>, "listByUser" | "destroyByUser" | "destroyById">;
  readonly #access: StoreAccess;
  readonly #committer: Committer;
  /** Sessions by user, within this manager's scope. */
  readonly #users: UserSessions;
  readonly #loader: Loader;
  readonly #host: SessionHost;
  /** The property of a request that holds its session. A WeakMap would cost more than the rest of the request's work here. */
  readonly #key = Symbol("pgstore session");
  /** The result for a request whose session was not read and needs no cookie. `#varying`: for one whose session was read. */
  readonly #nothing: CommitResult;
  readonly #varying: CommitResult;

  /** Makes a manager of a store's sessions. @throws TypeError, naming the option, when one is wrong */
  constructor(store: Store & StoreExtras & CheckedData<Data>, options?: ManagerOptions<Data, Lazy>) {
    assertStore(store);
    const resolved = resolveOptions(options);
    warnOfSharing(store, resolved);
    this.options = resolved;
    this.#nothing = new CommitResult({ kind: "nothing" }, false, resolved, {});
    this.#varying = new CommitResult({ kind: "nothing" }, true, resolved, {});
    this.store = store;
    const access = new StoreAccess(store, resolved);
    const users = new UserSessions(access, resolved.scope);
    const committer = new Committer(access, users);
    this.#access = access;
    this.#users = users;
    this.tableUsers = new UserSessions(access, undefined);
    this.#committer = committer;
    this.#loader = new Loader(access);
    this.#host = {
      schema: resolved.schema,
      flush: (state) => committer.flush(state),
      idOf: (token) => access.idOf(token),
      now: () => access.now(),
      estimatedNow: () => access.knownNow() ?? systemNow(),
      newDeadline: (lifetime = resolved.lifetime) => new Date(access.localNow() + lifetime),
      assertTags: () => users.assertTags("login"),
      continue: (state, token, read) => continueSession(access, users, state, token, read),
    };
  }

  /**
   * Loads the session of a token. A missing or malformed token costs no query. A missing, malformed, unknown or expired
   * token gives a new, empty session under another token. If the token's session was destroyed or renewed shortly
   * before, changes are dropped until `login` or `reset`.
   *
   * @param token - one token or several, as a browser with planted cookies sends them. A session counts only if it is the only live one
   * @throws StoreUnavailableError, StoreError or SchemaError when the store fails
   * @example
   * const session = await manager.load(token);
   * session.set("theme", "dark");
   * const { setCookie } = await manager.commit(session);
   */
  async load(token?: string | readonly string[] | null): Promise<Session<Data>> {
    const presented = typeof token === "string" ? [token] : (token ?? []);
    if (!Array.isArray(presented)) throw wrong("token", "a string or an array of strings", presented);
    return this.#loader.load(presented, (state) => new Session<Data>(state, this.#host));
  }

  /**
   * Loads the session of a request, synchronously when the request has no well-formed token.
   *
   * @param client - the origin of the request. A function is called only when it is needed
   * @throws StoreUnavailableError, StoreError or SchemaError when the store fails
   */
  loadFrom(credentials: Credentials, client?: ClientSource): Session<Data> | Promise<Session<Data>> {
    return this.#loader.loadFrom(credentials, client, (state) => new Session<Data>(state, this.#host));
  }

  /**
   * Stores a session's changes and returns the headers that the response needs. Without changes only the expiry may
   * move.
   *
   * @throws StoreUnavailableError, StoreError, SchemaError, SessionConflictError or SessionTooLargeError when the changes could not be
   *   stored; LoginRefusedError when the user's sessions were revoked during a login; SessionDecodeError when another program has made
   *   the row unreadable; TypeError when an object in the session was changed into one that can't be stored; AlreadyCommittedError when
   *   the session is new and the response's head has left without its token
   */
  async commit(session: Session<Data>, context: CommitContext = {}): Promise<CommitResult> {
    assertKnown(context, ["tls", "seal", "refresh"]);
    const state = stateOf(session);
    if (context.seal !== true && state.sealedBy === "head" && state.phase === "new" && state.hasChanged) {
      throw new AlreadyCommittedError("commit", "head");
    }
    return await this.#flushed(state, context);
  }

  async #flushed(state: SessionState, context: CommitContext): Promise<CommitResult> {
    if (context.seal === true) state.seal("head");
    await this.#committer.flush(state);
    if (context.refresh === true) await this.#committer.refreshCookie(state);
    return this.#result(state, context);
  }

  /** Commits synchronously when there is nothing to write. Returns undefined otherwise: call `commit` then. */
  commitSettled(session: Session<Data>, context: CommitContext = {}): CommitResult | undefined {
    const state = stateOf(session);
    const isSettled = state.isUntouched(this.options.idleTimeout) || this.#committer.isSettled(state);
    if (context.refresh === true || !isSettled) return undefined;
    if (context.seal === true) state.seal("head");
    return this.#result(state, context);
  }

  /**
   * Loads the session of a request for `sessionOf`. With `lazy: true` the load waits until the session is awaited. Adapters call it once
   * for each request.
   *
   * @param client - the origin of the request. A function is called only when it is needed
   * @param next - called when the session is open or the load has failed. With it the promise doesn't reject
   * @returns undefined when the session could be opened synchronously
   * @throws StoreUnavailableError, StoreError or SchemaError when the store fails
   */
  open(request: object, credentials: Credentials, client?: ClientSource, next?: AfterOpen): Promise<void> | undefined {
    if (this.options.lazy) {
      this.#bind(request, new LazySession(async () => this.loadFrom(credentials, client)));
      next?.opened();
      return undefined;
    }
    const opened = (state: SessionState): void => {
      this.#bind(request, new Session<Data>(state, this.#host));
      next?.opened();
    };
    const opening = this.#loader.loadFrom(credentials, client, opened, next);
    return opening instanceof Promise ? opening : undefined;
  }

  /** Makes `sessionOf` accept a framework's wrapper of a request, too. Adapters call it. */
  alias(wrapper: object, request: object): void {
    this.#bind(wrapper, this.#bound(request));
  }

  /**
   * Commits the session of a request before the response's head leaves, and seals it against later changes. Adapters call it. It returns
   * synchronously when there is nothing to write.
   *
   * @throws the errors of `commit` when the changes could not be stored: `committed` has the headers for the error's response
   */
  close(request: object, context: CommitContext): CommitResult | Promise<CommitResult> {
    const bound = this.#bound(request);
    if (bound === undefined) return this.#nothing;
    const sealing = context.seal === true ? context : { ...context, seal: true };
    if (bound instanceof Session) return this.commitSettled(bound, sealing) ?? this.#flushed(stateOf(bound), sealing);
    const { asked } = bound;
    if (asked === undefined) {
      bound.seal();
      return this.#nothing;
    }
    // A failed load was reported where the session was awaited.
    return asked.then(
      (session) => this.commit(session, sealing),
      () => this.#varying,
    );
  }

  /**
   * Returns the headers for commits that a request has already made, such as a `login`, without committing. For the error response after
   * `close` has failed. Never throws.
   */
  committed(request: object, context: CommitContext): CommitResult {
    const bound = this.#bound(request);
    if (bound === undefined) return this.#nothing;
    const session = bound instanceof Session ? bound : bound.loaded;
    if (session === undefined) return (bound as LazySession<Data>).asked === undefined ? this.#nothing : this.#varying;
    try {
      return this.#result(stateOf(session), context);
    } catch {
      // A request that can't tell whether it uses TLS counts as one that does.
      return this.#result(stateOf(session), {});
    }
  }

  /** Tells whether this manager's middleware has run for a request. */
  has(request: object): boolean {
    return this.#bound(request) !== undefined;
  }

  /**
   * Returns the session of a request, or with `lazy: true` a promise of it.
   *
   * @throws SessionMissingError when no middleware of this manager has run
   */
  sessionOf(request: object): SessionFor<Data, Lazy> {
    const bound = this.#bound(request);
    if (bound === undefined) throw new SessionMissingError();
    return bound as SessionFor<Data, Lazy>;
  }

  /**
   * Loads the session of a request and watches for its end, from before the load. For connections that outlive a request.
   *
   * @param listener - called when this process ends the session
   * @returns the session, and a function that removes the listener
   * @throws StoreUnavailableError, StoreError or SchemaError when the store fails
   */
  async loadWatched(
    credentials: Credentials,
    listener: () => void,
  ): Promise<{ session: Session<Data>; unwatch: () => void }> {
    const ended = new Set<string | undefined>();
    const stops = this.#loader.tokensOf(credentials).map((token) => {
      const id = this.#access.idOf(token);
      return this.#access.endListeners.watch(id, () => ended.add(id));
    });
    try {
      const session = await this.loadFrom(credentials);
      const unwatch = this.watch(session, listener);
      if (ended.has(stateOf(session).id)) listener();
      return { session, unwatch };
    } finally {
      for (const stop of stops) stop();
    }
  }

  /** Returns the milliseconds until a stored session expires, by the store's clock. Undefined for a session without a row. */
  async expiresIn(session: Session<Data>): Promise<number | undefined> {
    const { row } = stateOf(session);
    return row && row.expiry.getTime() - (await this.#access.now());
  }

  /** Calls `listener` when this process, not another one, ends the session. Returns a function that removes the listener. */
  watch(session: Session<Data>, listener: () => void): () => void {
    const { id } = stateOf(session);
    return id === undefined ? () => {} : this.#access.endListeners.watch(id, listener);
  }

  /**
   * Moves the values of another session, except its user, into this one and ends the other one. Its values replace those of the same key,
   * and the later deadline counts. Does nothing when the other session is unknown, ended or unreadable. SCS: MergeSession.
   *
   * @param token - the other session's
   * @throws StoreUnavailableError, StoreError, SchemaError, SessionConflictError or SessionTooLargeError when the values could not be
   *   stored; AlreadyCommittedError when the session is already committed. The other session then stays
   */
  async mergeSession(session: Session<Data>, token: string): Promise<void> {
    const state = stateOf(session);
    state.assertWritable("mergeSession");
    const row = await this.#loader.peek(token, state.id);
    if (row === undefined) return;
    state.assertWritable("mergeSession");
    for (const [key, value] of row.values) {
      if (key === REMEMBER_ME || !isReserved(key)) state.values.apply({ kind: "set", key, value });
    }
    if (row.deadline > session.deadline) state.values.apply({ kind: "deadline", deadline: row.deadline });
    // The other session ends last, so that a crash in between loses nothing.
    await this.#committer.flush(state);
    // If this session has ended elsewhere, the other one keeps its values.
    if (!state.isOver) await this.#access.end(this.#access.idOf(token), "destroyed");
  }

  /**
   * Lists the live sessions, in pages and constant memory. They can be changed and committed, or destroyed. Unreadable rows are skipped
   * and published on `pgstore:error`.
   *
   * @throws TypeError when the store can't list its sessions
   */
  async *iterate(): AsyncGenerator<Session<Data>, void, undefined> {
    if (this.store.all === undefined) throw new TypeError("store: can't list its sessions, it has no function all");
    for await (const { id, ...found } of this.store.all()) {
      const row = await this.#loader.readListed(id, found);
      if (row !== undefined) yield new Session<Data>(new SessionState(row, id), this.#host);
    }
  }

  /**
   * Lists the live sessions of a user, the newest login first.
   *
   * @throws SchemaError when the table lacks the columns that `migrate` adds; TypeError when the id or an option is wrong
   */
  listByUser(userId: string, options: ListOptions = {}): Promise<UserSession[]> {
    return this.#users.listByUser(userId, options);
  }

  /**
   * Ends every session of a user, at once and in every process. A login of the user that reaches the database before
   * this resolves is ended or refused, too. One statement ends the newest 1,000 sessions, further ones the rest
   * (docs/decisions/029).
   *
   * @returns the number of sessions ended
   * @throws SchemaError when the table lacks the columns that `migrate` adds; TypeError when the id or an option is wrong;
   *   StoreUnavailableError or StoreError when the store fails: call it again, as older sessions may still be live
   * @example
   * await manager.destroyByUser(user.id, { except: session });
   */
  destroyByUser(userId: string, options: DestroyByUserOptions = {}): Promise<number> {
    return this.#users.destroyByUser(userId, options);
  }

  /**
   * Ends every session whose login has set a tag, at once and in every process: for the back-channel log-out of OpenID
   * Connect. A concurrent login with the tag is ended, or refused with LoginRefusedError.
   *
   * @returns the number of sessions ended
   * @throws SchemaError when the table lacks the columns that `migrate` adds; TypeError when the store keeps no tags
   */
  destroyByTag(tag: string): Promise<number> {
    return this.#users.destroyByTag(tag);
  }

  /**
   * Ends the session of an id, at once and in every process, even if it has renewed its token since the id was listed.
   *
   * @returns whether a session was ended
   * @throws TypeError when the option `userId` is given but not a valid id
   * @example
   * await manager.destroyById(id, { userId: session.requireUser() });
   */
  destroyById(id: string, options: DestroyByIdOptions = {}): Promise<boolean> {
    return this.#users.destroyById(id, options);
  }

  /**
   * Ends every session of the table that is live at the time of the call, in all scopes, page by page. Later sessions may end, too.
   *
   * @returns the number of sessions ended
   * @throws TypeError when the store can't list its sessions; StoreUnavailableError or StoreError when the store fails: call it again
   */
  async destroyAll(options: DestroyAllOptions = {}): Promise<number> {
    const read = new OptionReader(options);
    const onProgress = read.callback<NonNullable<DestroyAllOptions["onProgress"]>>("onProgress");
    read.end();
    return this.#access.endAll((ended) => onProgress?.({ ended }));
  }

  /** Returns the session bound to a request. @param request - any value, from JavaScript callers */
  #bound(request: object | null | undefined): Session<Data> | LazySession<Data> | undefined {
    return (request as Record<symbol, unknown> | null | undefined)?.[this.#key] as Session<Data> | undefined;
  }

  #bind(request: object, session: Session<Data> | LazySession<Data> | undefined): void {
    (request as Record<symbol, unknown>)[this.#key] = session;
  }

  #result(state: SessionState, context: CommitContext): CommitResult {
    const varies = state.isAccessed || state.row !== undefined;
    if (state.cookieUpdate.kind === "nothing") return varies ? this.#varying : this.#nothing;
    const result = new CommitResult(state.cookieUpdate, varies, this.options, context);
    state.noteTold();
    return result;
  }
}
