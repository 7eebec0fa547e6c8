import { systemNow } from "../core/time.ts";
import { OptionReader } from "../core/options.ts";
import { assertUserId } from "../core/user-id.ts";
import { AlreadyCommittedError, SessionMissingError } from "../core/errors.ts";
import type { Store, StoreExtras, UserStore } from "../core/store.ts";
import { SessionState } from "../session/state.ts";
import type { SessionHost } from "../session/host.ts";
import { stateOf, Session } from "../session/session.ts";
import type { SessionData } from "../session/session-data.ts";
import { type ClientSource, type Credentials, recordedClient, tokensOf } from "./request.ts";
import { type CommitContext, CommitResult } from "./commit-result.ts";
import { assertStore } from "./complete-store.ts";
import { Committer } from "./committer.ts";
import { LazySession, type SessionFor } from "./lazy-session.ts";
import { Loader } from "./loader.ts";
import { resolveOptions, type ResolvedOptions, type SessionOptions } from "./options.ts";
import { RowCodec } from "./row-codec.ts";
import { nameOf, scopedUsers, warnOfSharing } from "./scope.ts";
import { StoreAccess } from "./store-access.ts";
import {
  type DestroyAllOptions,
  type DestroyByIdOptions,
  type DestroyByUserOptions,
  type ListOptions,
  UserSessions,
  type UserSession,
} from "./user-sessions.ts";

/**
 * Loads sessions and commits them: what happens between a request's cookie and a response's.
 *
 * One manager serves any number of parallel requests. It holds no connection and no timer.
 */
export class SessionManager<Data = SessionData, Lazy extends boolean = false> {
  /** The options, checked and with their defaults. */
  readonly options: Readonly<ResolvedOptions>;
  /** Where the sessions are. */
  readonly store: Store & StoreExtras;
  /**
   * Lists and ends sessions by the name that a user has in the table: for operators, who see the whole table, whatever this manager's
   * `scope`. User 1 of the scope "admin" is called `%admin:1` there.
   */
  readonly tableUsers: Pick<SessionManager<Data, Lazy>, "listByUser" | "destroyByUser" | "destroyById">;
  readonly #rows: RowCodec;
  readonly #access: StoreAccess;
  readonly #committer: Committer;
  /** Sessions by user, within this manager's scope. */
  readonly #users: UserSessions;
  readonly #loader: Loader;
  readonly #host: SessionHost;
  /** Where a request keeps its session. Not a WeakMap, which costs more than all else that a request does with us. */
  readonly #key = Symbol("pgstore session");
  /** For a request whose session was not looked at, and for one whose session could not be loaded. */
  readonly #nothing: CommitResult;
  readonly #varying: CommitResult;

  /** @throws TypeError when an option is wrong; it names the option */
  constructor(store: Store & StoreExtras, options?: SessionOptions<Lazy>) {
    assertStore(store);
    const resolved = resolveOptions(options);
    warnOfSharing(store, resolved);
    this.options = resolved;
    this.#nothing = new CommitResult({ kind: "nothing" }, false, resolved, {});
    this.#varying = new CommitResult({ kind: "nothing" }, true, resolved, {});
    this.store = store;
    const rows = new RowCodec(resolved);
    const access = new StoreAccess(store, rows, resolved);
    const usersOf = (users?: UserStore): UserSessions =>
      new UserSessions(users, access.store, access.endListeners, resolved);
    const users = usersOf(scopedUsers(store.users, resolved.scope));
    const committer = new Committer(access, rows, users, resolved, store.queryTimeout);
    this.#rows = rows;
    this.#access = access;
    this.#users = users;
    const tableUsers = usersOf(store.users);
    this.tableUsers = {
      listByUser: (name, options) => tableUsers.list(name, options),
      destroyByUser: (name, options) => tableUsers.end(name, options),
      destroyById: (id, options) => access.end(id, "revoked", options?.userId),
    };
    this.#committer = committer;
    this.#loader = new Loader(access, rows);
    this.#host = {
      flush: (state) => committer.flush(state),
      idOf: (token) => rows.idOf(token),
      now: () => access.now(),
      estimatedNow: () => access.estimatedNow(),
      newDeadline: (lifetime = resolved.lifetime) => new Date(systemNow() + lifetime),
      assertTags: () => users.assertTags("login"),
    };
  }

  /**
   * Loads the session of a token. Without a token, and for one that is malformed, no query is made; an unknown or
   * expired one is not adopted: in all these cases the session is new and empty.
   *
   * The token of a session that was ended a short while ago gives an empty one whose changes are dropped; `login` and
   * `reset` begin a new one.
   *
   * @param token - one token or several, as a browser sends them when somebody has planted one: the session counts if it is
   *   the only one that is live, otherwise none does
   * @throws StoreUnavailableError, StoreError, SchemaError when the store fails
   */
  async load(token?: string | readonly string[] | null): Promise<Session<Data>> {
    const presented = typeof token === "string" ? [token] : (token ?? []);
    return this.#loader.load(presented, (state) => this.#session(state));
  }

  /**
   * Loads the session of a request; at once when it carries nothing that could be a token.
   *
   * @param client - tells where the request came from; called only when a login is to record it
   * @throws as `load`
   */
  loadFrom(credentials: Credentials, client?: ClientSource): Session<Data> | Promise<Session<Data>> {
    return this.#loadFrom(credentials, client, (session) => session);
  }

  #loadFrom<T>(
    credentials: Credentials,
    client: ClientSource | undefined,
    open: (session: Session<Data>) => T,
  ): T | Promise<T> {
    const recorded = client && recordedClient(client, this.options);
    return this.#loader.load(tokensOf(credentials, this.options), (state) => {
      state.noteRequest(client, recorded);
      return open(this.#session(state));
    });
  }

  /**
   * Stores what has changed, exactly as much as needed, and says what the client must be told.
   *
   * @throws StoreUnavailableError, StoreError, SchemaError, SessionConflictError when the changes could not be stored;
   *   SessionDecodeError when the row has become unreadable meanwhile, which is not overwritten; TypeError when an object in the session was changed into something that can't be;
   *   AlreadyCommittedError when the session is new, and the head of its response, which could have told its token, has left
   */
  async commit(session: Session<Data>, context: CommitContext = {}): Promise<CommitResult> {
    const state = stateOf(session);
    if (context.seal === true) state.seal("head");
    else if (state.sealedBy === "head" && state.phase === "new" && state.hasChanged) {
      throw new AlreadyCommittedError("commit", "head");
    }
    await this.#committer.flush(state);
    return this.#result(state, context);
  }

  /** Commits at once when the store has nothing to do. Undefined: it has, call `commit`. */
  commitSettled(session: Session<Data>, context: CommitContext = {}): CommitResult | undefined {
    const state = stateOf(session);
    if (!this.#committer.isSettled(state)) return undefined;
    if (context.seal === true) state.seal("head");
    return this.#result(state, context);
  }

  /**
   * Loads the session of a request and remembers it, for `sessionOf`; a lazy one when it is first awaited. Adapters call
   * it, once for a request. Undefined when it is done at once.
   *
   * @throws as `load`
   */
  open(request: object, credentials: Credentials, client?: ClientSource): Promise<void> | undefined {
    if (this.options.lazy) {
      this.#bind(request, new LazySession(async () => this.loadFrom(credentials, client)));
      return undefined;
    }
    const opening = this.#loadFrom(credentials, client, (session) => this.#bind(request, session));
    return opening instanceof Promise ? opening : undefined;
  }

  /** Lets `sessionOf` know a request by a framework's object for it as well. Adapters call it. */
  alias(wrapper: object, request: object): void {
    this.#bind(wrapper, this.#bound(request));
  }

  /**
   * Commits the session of a request before its response's head leaves, and seals it for good, a lazy one that nobody has
   * awaited too. Adapters call it. At once where it can.
   *
   * @throws as `commit`; `committed` says what must be told the client then
   */
  close(request: object, context: CommitContext): CommitResult | Promise<CommitResult> {
    const bound = this.#bound(request);
    if (bound === undefined) return this.#nothing;
    const sealing = context.seal === true ? context : { ...context, seal: true };
    if (bound instanceof Session) return this.commitSettled(bound, sealing) ?? this.commit(bound, sealing);
    return this.#closeLazy(bound, sealing);
  }

  /**
   * Says what the client must be told of what has been committed so far for a request's session, and commits nothing: for the
   * answer that takes the place of another one when `close` has failed. What `login`, `renewToken`, `reset` or `save` have stored
   * before counts, whatever fails later. Never throws.
   */
  committed(request: object, context: CommitContext): CommitResult {
    const bound = this.#bound(request);
    if (bound === undefined) return this.#nothing;
    const session = bound instanceof Session ? bound : bound.loaded;
    if (session === undefined) return (bound as LazySession<Data>).asked === undefined ? this.#nothing : this.#varying;
    try {
      return this.#result(stateOf(session), context);
    } catch {
      // What can't be asked whether it is TLS counts as that.
      return this.#result(stateOf(session), {});
    }
  }

  /** Says whether this manager's middleware has run for a request. */
  has(request: object): boolean {
    return this.#bound(request) !== undefined;
  }

  /**
   * The session of a request; with `lazy: true` one to await.
   *
   * @throws SessionMissingError when no middleware of this manager ran
   */
  sessionOf(request: object): SessionFor<Data, Lazy> {
    const bound = this.#bound(request);
    if (bound === undefined) throw new SessionMissingError();
    return bound as SessionFor<Data, Lazy>;
  }

  /**
   * Loads the session of a request and watches it, also while it is being loaded: an end that falls into the load is not missed. For
   * adapters of connections that outlive a request.
   *
   * @returns what stops the watching, beside the session
   * @throws as `load`
   */
  async loadWatched(
    credentials: Credentials,
    listener: () => void,
  ): Promise<{ session: Session<Data>; unwatch: () => void }> {
    let id: string | undefined;
    const ended = new Set<string>();
    const stops = tokensOf(credentials, this.options).map((token) => {
      const watched = this.#rows.idOf(token);
      return this.#access.endListeners.watch(watched, () => {
        ended.add(watched);
        if (watched === id) listener();
      });
    });
    const unwatch = (): void => stops.forEach((stop) => stop());
    try {
      const session = await this.loadFrom(credentials);
      ({ id } = stateOf(session));
      if (id !== undefined && ended.has(id)) listener();
      return { session, unwatch };
    } catch (error) {
      unwatch();
      throw error;
    }
  }

  /** Milliseconds until a stored session expires, by the store's clock, unless a request moves that; undefined when it is not stored. */
  async expiresIn(session: Session<Data>): Promise<number | undefined> {
    const { row } = stateOf(session);
    return row && row.expiry.getTime() - (await this.#access.now());
  }

  /** Calls `listener` when this process ends the session; one that others end is noticed by looking. Returns what stops it. */
  watch(session: Session<Data>, listener: () => void): () => void {
    const { id } = stateOf(session);
    return id === undefined ? () => {} : this.#access.endListeners.watch(id, listener);
  }

  /**
   * Takes over the values of another session, which ends: a basket that was filled before the login, say. Its values
   * replace those of the same key, and the later deadline counts; its user is not taken over. Nothing happens when there
   * is no such session, or none that can be read. SCS: MergeSession.
   *
   * @throws as `commit`; AlreadyCommittedError after `save()`, `destroy()` and the response's head: both sessions stay as they are
   */
  async mergeSession(session: Session<Data>, token: string): Promise<void> {
    const state = stateOf(session);
    state.assertWritable("mergeSession", undefined);
    const row = await this.#loader.peek(token, state.id);
    if (row === undefined) return;
    state.assertWritable("mergeSession", undefined);
    state.values.merge(row, session.deadline);
    // Ours is stored before the other one goes, so that a crash in between loses nothing.
    await this.#committer.flush(state);
    // Where ours turned out to have ended, the other one still has what it had.
    if (!state.isOver) await this.#access.end(this.#rows.idOf(token), "destroyed");
  }

  /**
   * Lists the live sessions, in pages and constant memory. They can be changed and committed, or destroyed. Rows that
   * can't be read are left out, and an event on `pgstore:error` tells.
   *
   * @throws TypeError when the store can't list
   */
  async *iterate(): AsyncGenerator<Session<Data>, void, undefined> {
    if (this.store.all === undefined) throw new TypeError("store: can't list its sessions, it has no function all");
    for await (const { id, ...found } of this.store.all()) {
      const row = await this.#loader.read(id, found);
      if (row !== undefined) yield this.#session(SessionState.load(row, id));
    }
  }

  /**
   * Lists the live sessions of a user, those who have called `login` with that id, the newest first.
   *
   * @throws SchemaError when the table lacks the columns that `migrate` adds
   */
  listByUser(userId: string, options: ListOptions = {}): Promise<UserSession[]> {
    return this.#users.list(userId, options);
  }

  /**
   * Ends the sessions of a user everywhere. Resolves to how many. When it has resolved, every login of that user whose
   * statement had reached the database by then is ended too, or was refused; a later one is a new login.
   *
   * Up to 1,000 sessions end in one statement. Of more the newest end first, and the older ones live until it has resolved:
   * call it again when it has failed. (docs/decisions/029)
   *
   * @throws SchemaError when the table lacks the columns that `migrate` adds
   */
  destroyByUser(userId: string, options: DestroyByUserOptions = {}): Promise<number> {
    return this.#users.end(userId, options);
  }

  /**
   * Ends the sessions whose login has given them a tag, at once and everywhere, also those that have renewed their token since:
   * for the back-channel log-out of OpenID Connect, whose session id is such a tag. Resolves to how many. A login with the tag
   * that was being written when this was called is ended too, or is refused with LoginRefusedError.
   *
   * @throws SchemaError when the table lacks the columns that `migrate` adds; TypeError when the store keeps no tags
   */
  destroyByTag(tag: string): Promise<number> {
    return this.#users.endByTag(tag, (id) => this.#access.end(id, "revoked"));
  }

  /**
   * Ends the session of an id, at once and everywhere, also when it has renewed its token since the id was listed.
   *
   * @param options - userId: ends it only if it is this user's
   * @returns whether it has ended one
   */
  async destroyById(id: string, options: DestroyByIdOptions = {}): Promise<boolean> {
    // An undefined user, of an anonymous request say, must not mean anybody's.
    if ("userId" in options) assertUserId("destroyById", options.userId);
    const read = new OptionReader(options);
    const userId = read.text("userId", undefined);
    read.end();
    return this.#access.end(id, "revoked", userId === undefined ? undefined : nameOf(userId, this.options.scope));
  }

  /**
   * Ends every session of the table, of whichever scope, page by page. When it has resolved, every session that was live when it was called
   * is over; one that has begun since may be as well. When it rejects, those of the pages before have ended: call it again.
   *
   * @param options - onProgress: called after each page with how many have ended so far; what it throws stops it
   * @returns how many it has ended
   * @throws TypeError when the store can neither end all sessions nor list them
   */
  async destroyAll(options: DestroyAllOptions = {}): Promise<number> {
    const read = new OptionReader(options);
    const onProgress = read.callback<NonNullable<DestroyAllOptions["onProgress"]>>("onProgress");
    read.end();
    return this.#access.endAll((ended) => onProgress?.({ ended }));
  }

  /** @param request - anything, from JavaScript callers */
  #bound(request: object | null | undefined): Session<Data> | LazySession<Data> | undefined {
    return (request as Record<symbol, unknown> | null | undefined)?.[this.#key] as Session<Data> | undefined;
  }

  #bind(request: object, session: Session<Data> | LazySession<Data> | undefined): void {
    (request as Record<symbol, unknown>)[this.#key] = session;
  }

  /** Of a session that nobody asked for there is nothing to commit; a failed load was reported to whoever asked. */
  #closeLazy(lazy: LazySession<Data>, context: CommitContext): CommitResult | Promise<CommitResult> {
    const { asked } = lazy;
    if (asked !== undefined) {
      return asked.then(
        (session) => this.commit(session, context),
        () => this.#varying,
      );
    }
    lazy.seal();
    return this.#nothing;
  }

  #session(state: SessionState): Session<Data> {
    return new Session<Data>(state, this.#host);
  }

  #result(state: SessionState, context: CommitContext): CommitResult {
    const varies = state.isAccessed || state.row !== undefined;
    const result = new CommitResult(state.cookieUpdate, varies, this.options, context);
    state.noteTold();
    return result;
  }
}
