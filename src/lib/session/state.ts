import { AlreadyCommittedError, type CommittedBy } from "../core/errors.ts";
import { createToken } from "../core/token.ts";
import { assertValue, cloneValue, tryCloneValue, type Value } from "../core/value.ts";
import type { Asker } from "./asker.ts";
import { HeldObjects } from "./held-objects.ts";
import {
  CSRF,
  IDLE_TIMEOUT,
  isReserved,
  type Login,
  type OwnTimes,
  ownTimesOf,
  REMEMBER_ME,
  RESERVED,
  REVOKED,
  USER_ID,
} from "./reserved.ts";
import type { EndReason } from "../core/store.ts";

/**
 * "new": no row, nothing set. "unmodified": as loaded. "modified": a commit will write it. "destroyed": it has ended,
 * here or in another request; what is set now is not stored.
 */
export type SessionStatus = "new" | "unmodified" | "modified" | "destroyed";

/** One change, so recorded that it can be made again on newer values. */
export type Operation =
  | { kind: "set"; key: string; value: Value }
  | { kind: "delete"; key: string }
  | { kind: "clear"; reserved: boolean }
  | { kind: "login"; login: Login }
  | { kind: "update"; key: string; step: (current: Value | undefined) => Value }
  | { kind: "deadline"; deadline: Date };

/** A row as it was read, or as we have written it. */
export interface StoredRow {
  data: Uint8Array;
  values: Map<string, Value>;
  deadline: Date;
  expiry: Date;
}

/** That the session goes on under another token. */
export interface Renewal {
  kind: "renew";
  token: string;
  keepDeadline: boolean;
  /** When it turns out that the session was ended elsewhere, this request begins a new one (a login), instead of being dropped. */
  revive: boolean;
  /** The changes that are part of it: when it fails, they are taken back with it. */
  changes: readonly Operation[];
}

/** How the session is to end at the next commit: under a new token, or for good. */
export type Ending = Renewal | { kind: "destroy" };

/** A renewal whose store reported a failure, and which may have been carried out all the same: its answer was lost. */
export interface Doubt {
  token: string;
  key: string;
  /** What its row holds, if it is there. */
  data: Uint8Array;
}

/** What the client must be told about its cookie when the response's head is written. */
export type Delivery =
  { kind: "nothing" } | { kind: "clear" } | { kind: "set"; token: string; life?: { now: number; expiry: number } };

/**
 * One session in one request: what was loaded, what has been changed since, and what the client must be told.
 *
 * It knows nothing of stores, clocks or HTTP; the manager reads and advances it, `Session` is what applications see.
 */
export class SessionRecord {
  /**
   * "new" has no row yet, "stored" has one, "ended" gets none any more. "stale" came with the token of a session that was
   * replaced or destroyed a short while ago: it is empty as a new one, and gets no row either.
   */
  phase: "new" | "stored" | "stale" | "ended";
  /** The secret; unknown for sessions that were listed, not presented. */
  token: string | undefined;
  /** The store's key, once there is a row. */
  key: string | undefined;
  /** The session that the request came with, where it has ended and this one takes its place. */
  predecessor: { key: string; why: EndReason } | undefined;
  /** It was begun in that place on purpose, by `login` or `renew`, not by a mere write. */
  deliberate = false;
  row: StoredRow | undefined;
  values: Map<string, Value>;
  deadline: Date | undefined;
  /** True when the deadline was set in this request and the row's expiry no longer bounds it. */
  deadlineMoved = false;
  operations: Operation[] = [];
  ending: Ending | undefined;
  doubt: Doubt | undefined;
  /**
   * Keys of sessions whose tokens the request presented, none of which counts: more than one is live, or there are too many to look
   * up. A session that begins in their place ends them, and so does a log-out; otherwise the client could never get rid of them.
   */
  rivals: readonly string[] = [];
  /** The row is that of a renewal which counts as failed: the session must not stay under its token. */
  #mustMove = false;
  delivery: Delivery = { kind: "nothing" };
  /** Of the request, for a login. */
  client: { ip?: string | undefined; userAgent?: string | undefined } | undefined;
  /** Tells of the request. */
  asker: (() => Asker) | undefined;
  /** Set by the first read or write: the response depends on the session. */
  accessed = false;
  /** Later changes throw. */
  sealed: CommittedBy | undefined;
  /** The last of the commits under way, which the next one waits for. */
  pending: Promise<void> | undefined;
  /** What the application holds and may change in place. */
  readonly #held = new HeldObjects();

  constructor(row?: StoredRow, key?: string, token?: string) {
    this.phase = row === undefined ? "new" : "stored";
    this.row = row;
    this.key = key;
    this.token = token;
    this.values = new Map(row?.values);
    this.deadline = row?.deadline;
  }

  /** Reads a value; an object stays observed, so that changing it in place counts as setting it. */
  read(key: string): Value | undefined {
    const value = this.values.get(key);
    this.#held.hold(key, value);
    return value;
  }

  /** Where the session stands. */
  get status(): SessionStatus {
    if (this.phase === "ended" || this.ending?.kind === "destroy") return "destroyed";
    this.collect();
    if (this.changed) return "modified";
    return this.phase === "stored" ? "unmodified" : "new";
  }

  /**
   * Makes sure that a change would not be lost, and touches no key of ours.
   *
   * @throws AlreadyCommittedError, or TypeError for a key that no application may use
   */
  assertWritable(operation: string, key: string | undefined): void {
    if (this.sealed !== undefined) throw new AlreadyCommittedError(operation, this.sealed);
    if (this.ending?.kind === "destroy") throw new AlreadyCommittedError(operation, "destroy");
    if (key === undefined) return;
    if (typeof key !== "string") throw new TypeError(`${operation}: the key must be a string, not a ${typeof key}`);
    if (isReserved(key)) throw new TypeError(`${operation}: the key ${JSON.stringify(key)} is pgstore's own`);
  }

  /** Makes a change and remembers it, after those that were made in place before it. */
  apply(operation: Operation): void {
    const key = "key" in operation ? operation.key : undefined;
    this.collect(key);
    if (operation.kind === "update") this.#freeze(operation.key);
    this.#execute(operation);
    this.operations.push(operation);
    // What the application holds of before is not the session's any more.
    if (key !== undefined) this.#held.release(key);
    else if (operation.kind === "clear") this.#held.clear();
  }

  /** Turns changes made in place, in objects that the application holds, into operations. */
  collect(key?: string): void {
    for (const { key: name, value, isStorable } of this.#held.takeChanged(key)) {
      this.values.set(name, value);
      const isNoted = this.operations.some((operation) => operation.kind === "set" && operation.value === value);
      if (isStorable || !isNoted) this.operations.push({ kind: "set", key: name, value });
    }
  }

  /** @throws TypeError that names the key of a value that was changed in place into something that can't be stored */
  assertStorable(): void {
    for (const operation of this.operations) {
      if (operation.kind === "set") assertValue(operation.key, operation.value);
    }
  }

  /**
   * Remembers the objects that were set as they are now, when they are about to be written: they stay the caller's, and
   * changed while the write is under way or later, they go into the next one.
   */
  observe(): void {
    for (const operation of this.operations) if ("key" in operation) this.read(operation.key);
  }

  /** How many of the application's keys there are. */
  get size(): number {
    let size = this.values.size;
    for (const key of RESERVED) if (this.values.has(key)) size--;
    return size;
  }

  /** There is nothing to keep: how long a session is to live is no reason for a row. */
  get isEmpty(): boolean {
    return this.values.size === Number(this.values.has(REMEMBER_ME)) + Number(this.values.has(IDLE_TIMEOUT));
  }

  /** How long it lives, where it has times of its own. */
  get ownTimes(): OwnTimes {
    return ownTimesOf(this.values);
  }

  /** Milliseconds that the session lives as it holds nothing but an open form; undefined: it holds more. */
  get formLifetime(): number | undefined {
    return formLifetimeOf(this.values);
  }

  /** The row holds nothing but an open form. */
  get wasForm(): boolean {
    return this.row !== undefined && formLifetimeOf(this.row.values) !== undefined;
  }

  /** Somebody will see the answer to the request, as far as it tells. */
  get isSeen(): boolean {
    return this.asker?.().speculative !== true;
  }

  /** There is something that `destroy` has to end: the session, or what it goes on as since it was renewed elsewhere. */
  get isPresented(): boolean {
    return this.key !== undefined || this.predecessor !== undefined || this.rivals.length > 0;
  }

  /** There is no session any more: what is set is not stored. */
  get isOver(): boolean {
    return this.phase === "ended" || this.phase === "stale";
  }

  /** Says whether anything would be lost if nothing were written. */
  get changed(): boolean {
    return this.operations.length > 0;
  }

  /** Takes newer values from the store and makes this request's changes again on top of them. */
  rebase(row: StoredRow): void {
    this.collect();
    this.row = row;
    this.values = new Map(row.values);
    this.deadline = row.deadline;
    this.deadlineMoved = false;
    this.#replay();
  }

  /** Nothing that is set from now on can reach the client, whatever has sealed the session before. */
  seal(): void {
    this.sealed = "head";
  }

  /** Takes back a renewal that failed, with the changes that were part of it; those that were made beside it stay. */
  withdraw(): void {
    const { ending } = this;
    if (ending?.kind !== "renew") return;
    this.collect();
    this.ending = this.#mustMove ? moving() : undefined;
    this.operations = this.operations.filter((operation) => !ending.changes.includes(operation));
    // Its own session had turned out to be over, and the one that was to begin in its place has not begun.
    if (this.phase === "new") this.phase = "stale";
    this.values = new Map(this.row?.values);
    this.deadline = this.row?.deadline;
    this.deadlineMoved = false;
    this.#replay();
  }

  /**
   * Goes on from the row of a renewal that was reported as failed and carried out all the same. Nobody has that row's token, and
   * nobody gets it: the session takes another one, with the values that it has here.
   */
  adopt({ token, key, data }: Doubt): void {
    if (this.row === undefined) return;
    this.token = token;
    this.key = key;
    this.row = { ...this.row, data };
    this.doubt = undefined;
    this.#mustMove = true;
    this.ending ??= moving();
  }

  /** Begins anew under another token, with this request's changes and nothing else. @param why - the session has ended */
  restart(token: string, why: EndReason): void {
    if (this.key !== undefined) this.predecessor = { key: this.key, why };
    this.deliberate = true;
    this.phase = "new";
    this.token = token;
    this.key = undefined;
    this.row = undefined;
    this.values = new Map();
    this.deadline = undefined;
    this.deadlineMoved = false;
    // What the application holds of the session that has ended is nothing of this one.
    this.#held.clear();
    this.#replay();
  }

  /** Takes note that the first `count` operations are in the store now. */
  settle(row: StoredRow, key: string, count: number): void {
    this.phase = "stored";
    this.row = row;
    this.key = key;
    this.ending = undefined;
    this.#mustMove = false;
    this.operations.splice(0, count);
    this.deadlineMoved = this.operations.some(({ kind }) => kind === "deadline");
    if (!this.deadlineMoved) this.deadline = row.deadline;
  }

  /** Takes note that the session has ended, here or elsewhere: what it held and what was to be written is dropped. */
  end(delivery: Delivery): void {
    this.phase = "ended";
    this.row = undefined;
    this.values = new Map();
    this.operations = [];
    this.ending = undefined;
    this.delivery = delivery;
    this.#held.clear();
  }

  /** A step may change what it is given; made again, it must begin from what was there. */
  #copyOf(key: string): Value | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    assertValue(key, value);
    return cloneValue(value);
  }

  /** An object that was set stays the caller's: made again, the step must begin from what it was when it was first made. */
  #freeze(key: string): void {
    for (const operation of this.operations) {
      if (operation.kind === "set" && operation.key === key) {
        operation.value = tryCloneValue(operation.value) ?? operation.value;
      }
    }
  }

  #replay(): void {
    for (const operation of this.operations) this.#execute(operation);
    this.#held.putBack(this.values);
  }

  #execute(operation: Operation): void {
    switch (operation.kind) {
      case "set":
        this.values.set(operation.key, operation.value);
        break;
      case "delete":
        this.values.delete(operation.key);
        break;
      case "clear":
        for (const key of this.values.keys()) {
          if (operation.reserved || !isReserved(key)) this.values.delete(key);
        }
        break;
      case "login":
        this.#begin(operation.login);
        break;
      case "update":
        this.values.set(operation.key, operation.step(this.#copyOf(operation.key)));
        break;
      case "deadline":
        this.deadline = operation.deadline;
        this.deadlineMoved = true;
        break;
    }
  }

  /** A login: nobody gets what another user's session held. */
  #begin({ values, keeps, lifetime }: Login): void {
    const before = this.values.get(USER_ID);
    const isAnothers = before !== undefined && before !== values.get(USER_ID);
    for (const key of this.values.keys()) {
      if (key === REVOKED || (!isAnothers && (isReserved(key) ? key === REMEMBER_ME : keeps(key)))) continue;
      this.values.delete(key);
      this.#held.release(key);
    }
    for (const [key, value] of values) this.values.set(key, value);
    if (lifetime === undefined) return;
    this.deadline = this.row?.deadline;
    this.deadlineMoved = false;
  }
}

function formLifetimeOf(values: ReadonlyMap<string, Value>): number | undefined {
  const lifetime = values.get(CSRF);
  if (typeof lifetime !== "number" || values.has(USER_ID)) return undefined;
  return [...values.keys()].every(isReserved) ? lifetime : undefined;
}

/** Under another token, and all else as it is. */
function moving(): Renewal {
  return { kind: "renew", token: createToken(), keepDeadline: true, revive: false, changes: [] };
}
