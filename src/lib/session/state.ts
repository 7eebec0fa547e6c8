import { AlreadyCommittedError, type CommittedBy } from "../core/errors.ts";
import type { LoginDetails } from "../core/login-details.ts";
import type { EndReason } from "../core/store.ts";
import { createToken } from "../core/token.ts";
import type { CookieAttributes, CookieLife } from "../http/cookie.ts";
import type { ClientSource, RequestClient } from "./request.ts";
import {
  type CommitWatcher,
  type CookieUpdate,
  type Doubt,
  moveOn,
  type Phase,
  type Predecessor,
  type RenewalOptions,
  type Transition,
} from "./transition.ts";
import { assertKey, type Change, idleTimeoutIn, SessionValues, type StoredRow } from "./values.ts";

/**
 * "new": no row and no change. "unmodified": as loaded. "modified": the next commit writes it. "destroyed": ended, here or in another
 * request, so that changes are not stored.
 */
export type SessionStatus = "new" | "unmodified" | "modified" | "destroyed";

const NOTHING: CookieUpdate = { kind: "nothing" };

/**
 * One session in one request: the row that was loaded, the changes made since, and the pending change of the client's cookie.
 *
 * | phase  | row | how a request gets there                                 | a commit                | then            |
 * | ------ | --- | -------------------------------------------------------- | ----------------------- | --------------- |
 * | new    | no  | no token, or one without a session                       | creates a row, if there is a value to keep | stored |
 * | stored | yes | a live token, or a create                                | replaces, touches, renews or destroys it | stored or ended |
 * | stale  | no  | the token of a session that was just replaced or destroyed | drops the changes       | ended           |
 * | ended  | no  | `destroy`, or an end elsewhere                           | nothing                 | ended           |
 *
 * `login` and `reset` lead from stale and ended back to new (`restart`). The state has no access to the store, the clock or HTTP. The
 * manager reads and advances it, `plan.ts` decides what a commit does, and `Session` is its public side.
 *
 * Why: docs/decisions/010-tombstones.md
 */
export class SessionState {
  /** Makes a session without a row. @param isPresented - whether the request came with a token, so that the response depends on it */
  static empty(isPresented = false): SessionState {
    const state = new SessionState();
    state.#isAccessed = isPresented;
    return state;
  }

  /** Makes an empty session for a request with several tokens, none of which counts. @param rivals - their ids */
  static contest(rivals: readonly string[]): SessionState {
    const state = SessionState.empty(true);
    state.#rivals = rivals;
    return state;
  }

  readonly values: SessionValues;
  #phase: Phase;
  #token: string | undefined;
  #id: string | undefined;
  #row: StoredRow | undefined;
  #predecessor: Predecessor | undefined;
  #isDeliberate = false;
  #rivals: readonly string[] = [];
  #transition: Transition | undefined;
  #doubt: Doubt | undefined;
  /** The row comes from a renewal that was reported as failed: the session must not stay under its token. */
  #mustMove = false;
  #cookieUpdate: CookieUpdate = NOTHING;
  #clearing: readonly CookieAttributes[] = [];
  #client: LoginDetails | undefined;
  #facts: ClientSource | undefined;
  #isAccessed = false;
  #watcher: CommitWatcher | undefined;
  #sealedBy: CommittedBy | undefined;
  /** The last of the commits under way, and their number. */
  #pending: Promise<void> | undefined;
  #commits = 0;

  /** Makes the session of a row, if there is one. @param token - undefined when the session was listed, not presented */
  constructor(row?: StoredRow, id?: string, token?: string) {
    this.#phase = row === undefined ? "new" : "stored";
    this.#row = row;
    this.#id = id;
    this.#token = token;
    this.values = new SessionValues(row);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The secret. Undefined for a session that was listed, not presented. */
  get token(): string | undefined {
    return this.#token;
  }

  /** The key of the row. Undefined before there is one. */
  get id(): string | undefined {
    return this.#id;
  }

  get row(): StoredRow | undefined {
    return this.#row;
  }

  get predecessor(): Predecessor | undefined {
    return this.#predecessor;
  }

  /** Whether `login` or `reset` began this session, not a mere write. */
  get isDeliberate(): boolean {
    return this.#isDeliberate;
  }

  /** Ids of the sessions that the request presented together. A session that begins in their place ends them. So does a log-out. */
  get rivals(): readonly string[] {
    return this.#rivals;
  }

  get transition(): Transition | undefined {
    return this.#transition;
  }

  get doubt(): Doubt | undefined {
    return this.#doubt;
  }

  get cookieUpdate(): CookieUpdate {
    return this.#cookieUpdate;
  }

  /** The part of the client's address and browser that a login stores. */
  get client(): LoginDetails | undefined {
    return this.#client;
  }

  /** The facts about the request, read on demand. */
  get facts(): RequestClient {
    return (typeof this.#facts === "function" ? this.#facts() : this.#facts) ?? {};
  }

  /** Whether the application has read the session, so that the response depends on it. */
  get isAccessed(): boolean {
    return this.#isAccessed;
  }

  get sealedBy(): CommittedBy | undefined {
    return this.#sealedBy;
  }

  /** The last of the commits under way, which the next one waits for. */
  get pending(): Promise<void> | undefined {
    return this.#pending;
  }

  get status(): SessionStatus {
    if (this.#phase === "ended" || this.#transition?.kind === "destroy") return "destroyed";
    this.values.collect();
    if (this.hasChanged) return "modified";
    return this.#phase === "stored" ? "unmodified" : "new";
  }

  /** Whether there are changes to write. */
  get hasChanged(): boolean {
    return this.values.changes.length > 0;
  }

  /**
   * Tells whether a commit has nothing to do at any time, so that no plan is needed. True for most requests.
   *
   * @param idleTimeout - the manager's, in milliseconds. 0: none
   */
  isUntouched(idleTimeout: number): boolean {
    if (this.#pending !== undefined || this.#doubt !== undefined || this.#transition !== undefined) return false;
    if (this.isContinuation) return false;
    this.values.collect();
    if (this.hasChanged) return false;
    return this.#phase !== "stored" || (idleTimeoutIn(this.values.all) ?? idleTimeout) === 0;
  }

  /** Whether the client is to be told a token that parallel requests, which continue the same other session, may have ended. */
  get isContinuation(): boolean {
    return this.#phase === "stored" && this.#cookieUpdate.kind === "set" && this.#clearing.length > 0;
  }

  /** Whether the session has ended, so that changes are not stored. */
  get isOver(): boolean {
    return this.#phase === "ended" || this.#phase === "stale";
  }

  /** Makes a watcher take part in each commit. */
  watchCommits(watcher: CommitWatcher): void {
    this.#watcher = watcher;
  }

  get watcher(): CommitWatcher | undefined {
    return this.#watcher;
  }

  /** Records where the request came from. @param facts - called on demand. @param client - the part that a login stores */
  noteRequest(facts: ClientSource | undefined, client: LoginDetails | undefined): void {
    this.#facts = facts;
    this.#client = client;
  }

  noteAccess(): void {
    this.#isAccessed = true;
  }

  /**
   * Checks that a change would be stored, and that its key may be used.
   *
   * @throws AlreadyCommittedError when the session is already committed; TypeError when the key is reserved or not a string
   */
  assertWritable(operation: string, key?: string): void {
    if (this.#sealedBy !== undefined) throw new AlreadyCommittedError(operation, this.#sealedBy);
    if (this.#transition?.kind === "destroy") throw new AlreadyCommittedError(operation, "destroy");
    if (key !== undefined) assertKey(operation, key);
  }

  /** Makes later changes throw. The first seal counts, except that the response's head replaces any other. */
  seal(by: CommittedBy): void {
    if (by === "head") this.#sealedBy = by;
    else this.#sealedBy ??= by;
  }

  /** Removes the seal of a `save` or `destroy` that failed. */
  unseal(by: "save" | "destroy"): void {
    if (this.#sealedBy === by) this.#sealedBy = undefined;
  }

  /** Returns the token of a session without a row, made on the first call. */
  ensureToken(): string {
    return (this.#token ??= createToken());
  }

  /** Gives a session without a row another token. */
  changeToken(token: string): void {
    this.#token = token;
  }

  /** Plans the end of the session for the next commit. */
  planDestroy(): void {
    this.#transition = { kind: "destroy" };
  }

  /**
   * Plans a move to a new token for the next commit. Call it only while no commit is under way.
   *
   * @param changes - made now, and undone if the commit fails
   * @param earlier - changes that were made before and are undone as well
   */
  planRenewal(changes: readonly Change[], options: RenewalOptions, earlier: readonly Change[] = []): void {
    const token = createToken();
    if (options.revive && this.isOver) this.restart(token, "replaced");
    if (options.revive) this.#isDeliberate = true;
    this.values.applyRenewal(changes);
    if (this.#phase !== "stored") this.#token = token;
    else this.#transition = { kind: "renew", token, changes: [...earlier, ...changes], ...options };
  }

  /**
   * Acts as soon as no commit is under way. The failure of a commit is reported to its own caller.
   *
   * @param operation - the method that was called, for an error
   * @throws AlreadyCommittedError when the session is already committed
   */
  async whenIdle(operation: string, act: () => Promise<void>): Promise<void> {
    this.assertWritable(operation);
    while (this.#pending !== undefined) {
      await this.#pending.catch(() => {});
      this.assertWritable(operation);
    }
    await act();
  }

  /** Runs a commit after the earlier ones of this state. @param commit - must reject, not throw */
  queue(commit: () => Promise<unknown>): Promise<void> {
    this.#commits++;
    return (this.#pending = this.#commitAfter(this.#pending, commit));
  }

  async #commitAfter(before: Promise<void> | undefined, commit: () => Promise<unknown>): Promise<void> {
    // The earlier commit's failure was reported to its own caller. Its changes are written now.
    if (before !== undefined) await before.catch(() => {});
    try {
      await commit();
    } catch (error) {
      // Before the next commit in the queue starts, so that it does not repeat the failed renewal.
      this.#withdraw();
      throw error;
    } finally {
      if (--this.#commits === 0) this.#pending = undefined;
    }
  }

  /** Replays this request's changes on a newer row. If a step of `update` throws, the session keeps its row, so the next commit tries again. */
  rebase(row: StoredRow): void {
    this.values.collect();
    this.values.rebase(row);
    this.#row = row;
  }

  /** Undoes a failed renewal and the changes that belong to it. Other changes stay. */
  #withdraw(): void {
    const renewal = this.#transition;
    if (renewal?.kind !== "renew") return;
    this.values.collect();
    this.#transition = this.#mustMove ? moveOn() : undefined;
    // The presented session has ended, and the one that was to replace it has not begun.
    if (this.#phase === "new") this.#phase = "stale";
    this.values.withdraw(renewal.changes, this.#row);
  }

  /** Records a renewal whose answer may be lost. Undefined: it was answered. */
  suspect(doubt: Doubt | undefined): void {
    this.#doubt = doubt;
  }

  /**
   * Continues from the row of a renewal that was reported as failed but carried out. The client never gets that row's token: the session
   * moves on to another one, with the values that it has here.
   */
  adopt({ token, id, data }: Doubt): void {
    if (this.#row === undefined) return;
    this.#token = token;
    this.#id = id;
    this.#row = { ...this.#row, data };
    this.#doubt = undefined;
    this.#mustMove = true;
    this.#transition ??= moveOn();
  }

  /** Begins a new session under another token, with only this request's changes. @param why - how the previous session ended */
  restart(token: string, why: EndReason): void {
    if (this.#id !== undefined) this.#predecessor = { id: this.#id, why, earlier: this.#predecessor };
    this.#phase = "new";
    this.#token = token;
    this.#id = undefined;
    this.#row = undefined;
    this.#mustMove = false;
    this.#cookieUpdate = NOTHING;
    this.values.releaseAll();
    this.values.rebase(undefined);
  }

  /** Records that the presented session had already ended. A revoked session is succeeded by a new one. Otherwise this is a late request. */
  endElsewhere(id: string, why: EndReason): void {
    if (why === "revoked") {
      this.#predecessor = { id, why };
    } else {
      this.#phase = "stale";
      this.#id = id;
    }
  }

  /** Makes each response that sets or clears the session's cookie also remove another cookie. */
  clearAlso(cookie: CookieAttributes): void {
    this.#clearing = [cookie];
  }

  /** Records that the store now has a row with the first `count` changes, under this id and token. */
  settle(row: StoredRow, id: string, token: string | undefined, count: number): void {
    this.#token = token;
    this.#phase = "stored";
    this.#row = row;
    this.#id = id;
    this.#transition = undefined;
    this.#mustMove = false;
    this.values.settle(row, count);
  }

  /** Forgets the rivals, as they have ended. */
  forgetRivals(): void {
    this.#rivals = [];
  }

  /** Records that the session has ended, here or elsewhere, and drops its values and changes. */
  end(update: "clear" | "nothing"): void {
    // Not when `destroy` resolves, which is later: a login in between would begin another session.
    if (this.#transition?.kind === "destroy") this.seal("destroy");
    this.#phase = "ended";
    this.#row = undefined;
    this.values.drop();
    this.#transition = undefined;
    this.#cookieUpdate = update === "nothing" ? NOTHING : { kind: update, clearing: this.#clearing };
  }

  /** Records the token that the response must set. @param life - of a persistent cookie */
  tellToken(token: string, life: CookieLife | undefined): void {
    this.#cookieUpdate = { kind: "set", token, life, clearing: this.#clearing };
  }

  /** Records that a response carries the change of the cookie. */
  noteTold(): void {
    this.#cookieUpdate = NOTHING;
  }
}
