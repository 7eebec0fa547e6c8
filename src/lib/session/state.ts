import { AlreadyCommittedError, type CommittedBy } from "../core/errors.ts";
import type { EndReason } from "../core/store.ts";
import { createToken } from "../core/token.ts";
import type { RecordedClient, RequestFacts } from "./request-facts.ts";
import { formLifetimeIn, isReserved, type OwnTimes, ownTimesOf } from "./reserved.ts";
import { type Change, SessionValues, type StoredRow } from "./values.ts";

/**
 * "new": no row, nothing set. "unmodified": as loaded. "modified": a commit will write it. "destroyed": it has ended,
 * here or in another request; what is set now is not stored.
 */
export type SessionStatus = "new" | "unmodified" | "modified" | "destroyed";

/** Whether a session has a row. The table is at `SessionState`. */
export type Phase = "new" | "stored" | "stale" | "ended";

/** A new token for the session, written by the next commit. */
export interface Renewal {
  kind: "renew";
  token: string;
  keepDeadline: boolean;
  /** When it turns out that the session was ended elsewhere, this request begins a new one (a login), instead of being dropped. */
  revive: boolean;
  /** The changes that are part of it: when it fails, they are taken back with it. */
  changes: readonly Change[];
}

/** What the next commit does to the session beside writing its changes. */
export type Transition = Renewal | { kind: "destroy" };

/** A renewal that the store has reported as failed, and which may have been carried out all the same: its answer was lost. */
export interface Doubt {
  token: string;
  id: string;
  /** What its row holds, if it is there. */
  data: Uint8Array;
}

/** What the client must be told about its cookie when the response's head is written. */
export type CookieUpdate =
  { kind: "nothing" } | { kind: "clear" } | { kind: "set"; token: string; life?: { now: number; expiry: number } };

const NOTHING: CookieUpdate = { kind: "nothing" };

/**
 * One session in one request: what was loaded, what has been changed since, and what the client must be told.
 *
 * | phase  | row | how a request gets there                                 | a commit                | then            |
 * | ------ | --- | -------------------------------------------------------- | ----------------------- | --------------- |
 * | new    | no  | no token, or one that leads nowhere                      | creates a row, if there is anything to keep | stored |
 * | stored | yes | a live token, or a create                                | replaces, touches, renews or destroys it | stored or ended |
 * | stale  | no  | the token of a session that was just replaced or destroyed | drops what was set      | ended           |
 * | ended  | no  | `destroy`, or the session was ended elsewhere            | nothing                 | ended           |
 *
 * `login` and `reset` lead from stale and ended back to new (`restart`). The state knows nothing of stores, clocks or HTTP. The manager
 * reads and advances it, `plan.ts` decides what a commit does, `Session` is what applications see.
 */
export class SessionState {
  /** A session without a row. @param isPresented - whether the answer depends on a token that came, although it leads nowhere */
  static empty(isPresented = false): SessionState {
    const state = new SessionState(undefined, undefined, undefined);
    state.#isAccessed = isPresented;
    return state;
  }

  /** The session of a row. @param token - unknown where the session was listed, not presented */
  static load(row: StoredRow, id: string, token?: string): SessionState {
    return new SessionState(row, id, token);
  }

  /** A session that was ended a short while ago. One that was revoked is succeeded by a new one, others have late requests. */
  static loadEnded(id: string, why: EndReason): SessionState {
    const state = SessionState.empty(true);
    if (why === "revoked") {
      state.#predecessor = { id, why };
    } else {
      state.#phase = "stale";
      state.#id = id;
    }
    return state;
  }

  /**
   * A session in the place of several whose tokens the request presented, none of which counts: more than one is live, or there are too
   * many to look up.
   */
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
  #predecessor: { id: string; why: EndReason } | undefined;
  #isDeliberate = false;
  #rivals: readonly string[] = [];
  #transition: Transition | undefined;
  #doubt: Doubt | undefined;
  /** The row is that of a renewal which counts as failed: the session must not stay under its token. */
  #mustMove = false;
  #cookieUpdate: CookieUpdate = NOTHING;
  #client: RecordedClient | undefined;
  #facts: RequestFacts | (() => RequestFacts) | undefined;
  #isAccessed = false;
  #sealedBy: CommittedBy | undefined;
  /** The last of the commits under way, and how many there have been. */
  #pending: Promise<void> | undefined;
  #commits = 0;

  private constructor(row: StoredRow | undefined, id: string | undefined, token: string | undefined) {
    this.#phase = row === undefined ? "new" : "stored";
    this.#row = row;
    this.#id = id;
    this.#token = token;
    this.values = new SessionValues(row);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The secret; unknown for sessions that were listed, not presented. */
  get token(): string | undefined {
    return this.#token;
  }

  /** The row's key, once there is a row. */
  get id(): string | undefined {
    return this.#id;
  }

  get row(): StoredRow | undefined {
    return this.#row;
  }

  /** The session that the request came with, where it has ended and this one takes its place. */
  get predecessor(): { id: string; why: EndReason } | undefined {
    return this.#predecessor;
  }

  /** Whether it was begun in that place on purpose, by `login` or `reset`, not by a mere write. */
  get isDeliberate(): boolean {
    return this.#isDeliberate;
  }

  /** Ids of the sessions that the request presented beside one another. A session that begins in their place ends them, and so does a log-out. */
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

  /** What a login keeps of where it came from. */
  get client(): RecordedClient | undefined {
    return this.#client;
  }

  /** What is known of the request; asked for when it counts. */
  get facts(): RequestFacts {
    return (typeof this.#facts === "function" ? this.#facts() : this.#facts) ?? {};
  }

  /** Whether the application has looked at the session: the response depends on it. */
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

  /** Whether anything would be lost if nothing were written. */
  get hasChanged(): boolean {
    return this.values.changes.length > 0;
  }

  /** How long it lives, where it has times of its own. */
  get ownTimes(): OwnTimes {
    return ownTimesOf(this.values.all);
  }

  /** Milliseconds that the session lives while it holds nothing but an open form; undefined: it holds more. */
  get formLifetime(): number | undefined {
    return formLifetimeIn(this.values.all);
  }

  /** Whether there is something that `destroy` has to end: the session, or what it goes on as since it was renewed elsewhere. */
  get isPresented(): boolean {
    return this.#id !== undefined || this.#predecessor !== undefined || this.#rivals.length > 0;
  }

  /** Whether there is no session any more: what is set is not stored. */
  get isOver(): boolean {
    return this.#phase === "ended" || this.#phase === "stale";
  }

  /** Notes where the request came from. @param facts - called when they count. @param client - what a login keeps of it */
  noteRequest(facts: RequestFacts | (() => RequestFacts) | undefined, client: RecordedClient | undefined): void {
    this.#facts = facts;
    this.#client = client;
  }

  noteAccess(): void {
    this.#isAccessed = true;
  }

  /**
   * Makes sure that a change would not be lost, and touches no reserved key.
   *
   * @throws AlreadyCommittedError, or TypeError for a key that no application may use
   */
  assertWritable(operation: string, key: string | undefined): void {
    if (this.#sealedBy !== undefined) throw new AlreadyCommittedError(operation, this.#sealedBy);
    if (this.#transition?.kind === "destroy") throw new AlreadyCommittedError(operation, "destroy");
    if (key === undefined) return;
    if (typeof key !== "string") throw new TypeError(`${operation}: the key must be a string, not a ${typeof key}`);
    if (isReserved(key)) throw new TypeError(`${operation}: the key ${JSON.stringify(key)} is pgstore's own`);
  }

  /** Makes later changes throw. The first seal counts, but for the response's head: behind that nothing can reach the client. */
  seal(by: CommittedBy): void {
    if (by === "head") this.#sealedBy = by;
    else this.#sealedBy ??= by;
  }

  /** Takes back the seal of a `save` that failed. */
  unseal(by: CommittedBy): void {
    if (this.#sealedBy === by) this.#sealedBy = undefined;
  }

  /** The token of a session without a row, made when it is first asked for. */
  ensureToken(): string {
    return (this.#token ??= createToken());
  }

  /** Gives a session that has no row yet another token. */
  changeToken(token: string): void {
    this.#token = token;
  }

  /** Sets what the next commit does. */
  plan(transition: Transition): void {
    this.#transition = transition;
  }

  /** Notes that the session is meant to be a new one, by `login` or `reset`. */
  markDeliberate(): void {
    this.#isDeliberate = true;
  }

  /** Runs a commit after those that were begun before. @param commit - fails by rejecting, not at once */
  queue(commit: () => Promise<void>): Promise<void> {
    return (this.#pending = this.#commitAfter(this.#pending, commit, ++this.#commits));
  }

  async #commitAfter(before: Promise<void> | undefined, commit: () => Promise<void>, number: number): Promise<void> {
    // Its failure was reported to whoever began it. What it could not write is written now.
    if (before !== undefined) await before.catch(() => {});
    try {
      await commit();
    } catch (error) {
      // Before anybody hears of it, the commit that waits for this one included: what has failed is not made later.
      this.#withdraw();
      throw error;
    } finally {
      if (number === this.#commits) this.#pending = undefined;
    }
  }

  /** Takes newer values from the store and makes this request's changes again on top of them. */
  rebase(row: StoredRow): void {
    this.values.collect();
    this.#row = row;
    this.values.rebase(row);
  }

  /** Takes back a renewal that failed, with the changes that were part of it. Those that were made beside it stay. */
  #withdraw(): void {
    const renewal = this.#transition;
    if (renewal?.kind !== "renew") return;
    this.values.collect();
    this.#transition = this.#mustMove ? moveOn() : undefined;
    // Its own session had turned out to be over, and the one that was to begin in its place has not begun.
    if (this.#phase === "new") this.#phase = "stale";
    this.values.withdraw(renewal.changes, this.#row);
  }

  /** Notes that a renewal is on its way whose answer may be lost; undefined: it has been answered. */
  suspect(doubt: Doubt | undefined): void {
    this.#doubt = doubt;
  }

  /**
   * Goes on from the row of a renewal that was reported as failed and carried out all the same. Nobody has that row's token, and
   * nobody gets it: the session takes another one, with the values that it has here.
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

  /** Begins anew under another token, with this request's changes and nothing else. @param why - how the session before has ended */
  restart(token: string, why: EndReason): void {
    if (this.#id !== undefined) this.#predecessor = { id: this.#id, why };
    this.#isDeliberate = true;
    this.#phase = "new";
    this.#token = token;
    this.#id = undefined;
    this.#row = undefined;
    this.values.releaseAll();
    this.values.rebase(undefined);
  }

  /** Takes note that a touch has moved the row's expiry. */
  touch(row: StoredRow): void {
    this.#row = row;
  }

  /** Takes note that a row with the first `count` changes is in the store now, under this id and token. */
  settle(row: StoredRow, id: string, token: string | undefined, count: number): void {
    this.#token = token;
    this.#phase = "stored";
    this.#row = row;
    this.#id = id;
    this.#transition = undefined;
    this.#mustMove = false;
    this.values.settle(row, count);
  }

  /** Takes the rivals, which are ended now. */
  takeRivals(): readonly string[] {
    const rivals = this.#rivals;
    this.#rivals = [];
    return rivals;
  }

  /** Takes note that the session has ended, here or elsewhere. What it held and what was to be written is dropped. */
  end(update: "clear" | "nothing"): void {
    this.#phase = "ended";
    this.#row = undefined;
    this.values.drop();
    this.#transition = undefined;
    this.#cookieUpdate = update === "nothing" ? NOTHING : { kind: update };
  }

  /** Notes what the client must be told of its token. */
  tellToken(token: string, life: { now: number; expiry: number } | undefined): void {
    this.#cookieUpdate = { kind: "set", token, ...(life === undefined ? {} : { life }) };
  }

  /** Notes that the client is told, which happens once. */
  noteTold(): void {
    this.#cookieUpdate = NOTHING;
  }
}

/** Under another token, and all else as it is. */
function moveOn(): Renewal {
  return { kind: "renew", token: createToken(), keepDeadline: true, revive: false, changes: [] };
}
