import { wrong } from "../core/options.ts";
import type { StoredSession } from "../core/store.ts";
import { assertValue, cloneValue, toValue, tryCloneValue, type Value } from "../core/value.ts";
import { HeldObjects } from "./held-objects.ts";

/*
 * Keys among a session's values that pgstore reserves. Applications can't read or write them. SCS in Go keeps them, as it keeps any key.
 */

/** Whether the cookie is persistent. SCS v2 writes the same key. */
export const REMEMBER_ME = "__rememberMe";
export const USER_ID = "__userId";
/** Lifetime in milliseconds of a session that only backs an open form with a CSRF token. */
export const CSRF = "__csrf";
/** The id of the revoked session that this one has replaced. */
export const REVOKED = "__revoked";
/** The time of the last login or reauthentication, in milliseconds since 1970, by the store's clock. */
export const LOGGED_IN_AT = "__loggedInAt";
/** The session's own lifetime and idle timeout in milliseconds (idle timeout 0: none), which override the manager's. */
export const LIFETIME = "__lifetime";
export const IDLE_TIMEOUT = "__idleTimeout";
/** The tags by which `destroyByTag` finds the session: an array of strings. */
export const TAGS = "__tags";

export const RESERVED: readonly string[] = [
  REMEMBER_ME,
  USER_ID,
  CSRF,
  REVOKED,
  LOGGED_IN_AT,
  LIFETIME,
  IDLE_TIMEOUT,
  TAGS,
];

/** Tells whether pgstore reserves a key. @throws TypeError when the key is not a string */
export function isReserved(key: string): boolean {
  if (typeof key !== "string") throw wrong("key", "a string", key);
  return key.startsWith("__") && RESERVED.includes(key);
}

/** Checks that the application may use a key. @throws TypeError when the key is reserved or not a string */
export function assertKey(operation: string, key: string): void {
  if (typeof key !== "string") throw wrong(`${operation}: key`, "a string", key);
  if (isReserved(key)) throw wrong(`${operation}: key`, "a key that pgstore does not reserve", key);
}

/** The effect of a login on a session. */
export interface Login {
  /** Values of reserved keys, the user's id among them. */
  values: ReadonlyMap<string, Value>;
  /** Tells which of the application's keys stay. When the session was another user's, none stays. */
  keeps: (key: string) => boolean;
}

/** Reads the session's own idle timeout in milliseconds, 0: none. A remembered session has none unless it was set for the session. */
export function idleTimeoutIn(values: ReadonlyMap<string, Value>): number | undefined {
  return numberIn(values, IDLE_TIMEOUT) ?? (values.get(REMEMBER_ME) === true ? 0 : undefined);
}

/** Reads a non-negative number. Anyone with write access to the table may have stored another value. */
export function numberIn(values: ReadonlyMap<string, Value>, key: string): number | undefined {
  const value = values.get(key);
  return typeof value === "number" && value >= 0 ? value : undefined;
}

/** Reads the id of the session's user. */
export function userIn(values: ReadonlyMap<string, Value>): string | undefined {
  const userId = values.get(USER_ID);
  return typeof userId === "string" ? userId : undefined;
}

/** Reads the session's tags. */
export function tagsIn(values: ReadonlyMap<string, Value>): string[] {
  const tags = values.get(TAGS);
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/** Returns the lifetime in milliseconds of a session that only backs an open form. Undefined for other sessions. */
export function formLifetimeIn(values: ReadonlyMap<string, Value>): number | undefined {
  const lifetime = values.get(CSRF);
  if (typeof lifetime !== "number" || values.has(USER_ID)) return undefined;
  return [...values.keys()].every(isReserved) ? lifetime : undefined;
}

/** A row as read or written by this process. */
export interface StoredRow extends StoredSession {
  values: ReadonlyMap<string, Value>;
  deadline: Date;
}

/** The part of a row that the values begin from. */
type Base = Readonly<Pick<StoredRow, "values"> & { deadline?: Date | undefined }>;

const NO_ROW: Base = { values: new Map() };

/** The part of a schema that the values need. */
interface ValueRules {
  /** Returns a new default of an absent key. Undefined: it has none. */
  defaultOf(key: string): Value | undefined;
  /** Checks a value. Returns the one to store. */
  accept(key: string, value: unknown, how?: string): Value;
}

/** One change of a session, recorded so that it can be replayed on newer values. */
export type Change =
  | { kind: "set"; key: string; value: Value; isInPlace?: boolean }
  | { kind: "delete"; key: string }
  | { kind: "clear"; reserved: boolean }
  | { kind: "login"; login: Login }
  | { kind: "update"; key: string; step: (current: Value | undefined) => Value }
  | { kind: "deadline"; deadline: Date };

/**
 * The values and the deadline of a session in one request, with the request's changes.
 *
 * A conflict is resolved by replay: the newer row's values replace the loaded ones, and each change is made again on top. An object that
 * the application has read or set and then changed in place counts as a change of its key.
 *
 * The first change copies the values of the row.
 *
 * Why: docs/decisions/001-compare-and-swap-on-bytes.md, docs/decisions/005-changing-in-place-counts.md
 */
export class SessionValues {
  /** The row, which is never changed. */
  #base: Base;
  /** The values with this request's changes. Undefined: those of the row. */
  #changed: Map<string, Value> | undefined;
  /** The row's Date, or another one that this request has set. */
  #deadline: Date | undefined;
  #changes: Change[] = [];
  /** Objects that the application holds and may change in place: now, and before a renewal, which may fail. */
  #held: HeldObjects | undefined;
  #heldBefore: HeldObjects | undefined;

  /** Begins with the values of a row, or without any. */
  constructor(row: StoredRow | undefined) {
    this.#base = row ?? NO_ROW;
    this.#deadline = row?.deadline;
  }

  /** All values, the reserved ones included. */
  get all(): ReadonlyMap<string, Value> {
    return this.#changed ?? this.#base.values;
  }

  get deadline(): Date | undefined {
    return this.#deadline;
  }

  /** Whether this request has set the deadline, so that the row's expiry no longer bounds it. */
  get isDeadlineMoved(): boolean {
    return this.#deadline !== this.#base.deadline;
  }

  get changes(): readonly Change[] {
    return this.#changes;
  }

  /** The number of the application's keys. */
  get size(): number {
    this.#collectDefaults();
    let size = this.all.size;
    for (const key of RESERVED) if (this.all.has(key)) size--;
    return size;
  }

  /** Lists the application's keys, sorted. */
  keys(): string[] {
    this.#collectDefaults();
    return [...this.all.keys()].filter((key) => !isReserved(key)).toSorted();
  }

  /** Tells whether the application has a value under a key. */
  has(key: string): boolean {
    if (isReserved(key)) return false;
    this.#collectDefaults();
    return this.all.has(key);
  }

  /** Reads a value of the application, as `read` does. */
  get(key: string, schema: ValueRules | undefined): Value | undefined {
    return isReserved(key) ? undefined : this.read(key, schema);
  }

  /**
   * Reads a value and begins to watch it, if it is an object, for changes in place.
   *
   * @param schema - has the defaults of absent keys. A default belongs to the session once it was changed in place
   */
  read(key: string, schema?: ValueRules): Value | undefined {
    const value = this.all.get(key);
    if (value === undefined) return schema && this.#readDefault(key, schema);
    if (typeof value === "object" && value !== null) (this.#held ??= new HeldObjects()).hold(key, value);
    return value;
  }

  /** Reads a value and removes its key. */
  pop(key: string, schema: ValueRules | undefined): Value | undefined {
    const isPresent = this.has(key);
    const value = isPresent ? this.all.get(key) : schema?.defaultOf(key);
    if (isPresent) this.apply({ kind: "delete", key });
    else this.#held?.release(key);
    return value;
  }

  #readDefault(key: string, schema: ValueRules): Value | undefined {
    const known = this.#held?.defaultOf(key);
    if (known !== undefined) return known;
    const value = schema.defaultOf(key);
    if (typeof value === "object" && value !== null) (this.#held ??= new HeldObjects()).holdDefault(key, value);
    return value;
  }

  /** Records defaults that the application has changed in place, so that their keys are present. */
  #collectDefaults(): void {
    for (const key of this.#held?.defaultKeys ?? []) this.collect(key);
  }

  /** Makes and records a change, after recording earlier changes in place. */
  apply(change: Change): void {
    const key = "key" in change ? change.key : undefined;
    this.collect(key);
    if (change.kind === "update") this.#freeze(change.key);
    this.#execute(change);
    this.#changes.push(change);
    // Objects read earlier no longer belong to the session.
    if (key !== undefined) this.#held?.release(key);
    else if (change.kind === "clear") this.#held?.clear();
  }

  /** Makes the changes of a renewal. */
  applyRenewal(changes: readonly Change[]): void {
    this.#heldBefore ??= this.#held?.copy();
    for (const change of changes) this.apply(change);
  }

  /** Sets a reserved value of the row to be written, without recording a change. */
  mark(key: string, value: Value): void {
    this.#own().set(key, value);
  }

  /** Removes a value that `mark` has set, and returns it. */
  unmark(key: string): Value | undefined {
    const value = this.all.get(key);
    if (value !== undefined) this.#own().delete(key);
    return value;
  }

  /** Records the changes that the application has made in place. @param key - limits it to one key */
  collect(key?: string): void {
    if (this.#held === undefined) return;
    for (const { key: name, value, isStorable } of this.#held.takeChanged(key)) {
      this.#own().set(name, value);
      const isNoted = this.#changes.some((change) => change.kind === "set" && change.value === value);
      if (isStorable || !isNoted) this.#changes.push({ kind: "set", key: name, value, isInPlace: true });
    }
  }

  /**
   * Checks the values that were changed in place, and replaces them with those that the schemas return.
   *
   * @throws SessionInvalidError when a schema refuses a value; TypeError when a session can't hold one
   */
  checkChanged(schema: ValueRules): void {
    this.collect();
    for (const change of this.#presentSets) {
      if (change.isInPlace !== true) continue;
      change.value = schema.accept(change.key, change.value, "value that was changed in place");
      change.isInPlace = false;
      this.#own().set(change.key, change.value);
    }
  }

  /** The sets whose values no later change has replaced. */
  get #presentSets() {
    return this.#changes.flatMap((one) => (one.kind === "set" && this.all.get(one.key) === one.value ? one : []));
  }

  /** Checks every value that was set. @throws TypeError, naming the key, when a change in place has made a value that can't be stored */
  assertStorable(): void {
    for (const { key, value } of this.#presentSets) assertValue(key, value);
  }

  /** Returns the values for the row that is being written. Later changes of the application's objects go into the next row. */
  snapshot(): ReadonlyMap<string, Value> {
    for (const change of this.#changes) if ("key" in change) this.read(change.key);
    this.#base = { values: this.all, deadline: this.#base.deadline };
    this.#changed = undefined;
    return this.#base.values;
  }

  /**
   * Replays this request's changes on another row, or on an empty session.
   *
   * @throws the error of a step of `update`. The values stay as they were: no commit may store only a part of the changes
   */
  rebase(row: StoredRow | undefined): void {
    const [base, changed, deadline] = [this.#base, this.#changed, this.#deadline];
    try {
      this.#replayOn(row);
    } catch (error) {
      [this.#base, this.#changed, this.#deadline] = [base, changed, deadline];
      throw error;
    }
  }

  #replayOn(row: StoredRow | undefined): void {
    this.#base = row ?? NO_ROW;
    this.#changed = undefined;
    this.#deadline = row?.deadline;
    for (const change of this.#changes) this.#execute(change);
    this.#held?.putBack(this.#own());
  }

  /** Removes some changes, even if a step throws, and replays the rest on the row. */
  withdraw(changes: readonly Change[], row: StoredRow | undefined): void {
    this.#changes = this.#changes.filter((change) => !changes.includes(change));
    if (this.#heldBefore !== undefined) this.#held?.watchAgain(this.#heldBefore);
    this.#heldBefore = undefined;
    this.#replayOn(row);
  }

  /** Records that the row now has the first `count` changes. */
  settle(row: StoredRow, count: number): void {
    this.#changes.splice(0, count);
    this.#base = row;
    this.#heldBefore = undefined;
    if (this.#changes.every(({ kind }) => kind !== "deadline")) this.#deadline = row.deadline;
  }

  /** Stops watching the application's objects, which don't belong to the session that begins now. */
  releaseAll(): void {
    this.#held?.clear();
  }

  /** Drops all values and changes. The deadline stays readable. */
  drop(): void {
    this.#base = { ...NO_ROW, deadline: this.#base.deadline };
    this.#changed = undefined;
    this.#changes = [];
    this.#held?.clear();
  }

  /** Returns a map of values that only this request uses. */
  #own(): Map<string, Value> {
    return (this.#changed ??= new Map(this.#base.values));
  }

  /** Copies a value for `update`, whose step may change it and may run again. */
  #copyOf(key: string): Value | undefined {
    const value = this.all.get(key);
    return value === undefined ? undefined : cloneValue(toValue(key, value));
  }

  /** Copies objects that were set under a key, so that a replayed `update` begins from their present state. */
  #freeze(key: string): void {
    for (const change of this.#changes) {
      if (change.kind === "set" && change.key === key) change.value = tryCloneValue(change.value) ?? change.value;
    }
  }

  #execute(change: Change): void {
    const values = this.#own();
    switch (change.kind) {
      case "set":
        values.set(change.key, change.value);
        break;
      case "delete":
        values.delete(change.key);
        break;
      case "clear":
        for (const key of values.keys()) if (change.reserved || !isReserved(key)) values.delete(key);
        break;
      case "login":
        this.#logIn(change.login, values);
        break;
      case "update":
        values.set(change.key, change.step(this.#copyOf(change.key)));
        break;
      case "deadline":
        this.#deadline = change.deadline;
        break;
    }
  }

  /** Carries out a login. Another user's values are dropped. */
  #logIn({ values: added, keeps }: Login, values: Map<string, Value>): void {
    const before = values.get(USER_ID);
    const isAnothers = before !== undefined && before !== added.get(USER_ID);
    for (const key of values.keys()) {
      if (key === REVOKED || (!isAnothers && (isReserved(key) ? key === REMEMBER_ME : keeps(key)))) continue;
      values.delete(key);
      this.#held?.release(key);
    }
    for (const [key, value] of added) values.set(key, value);
    if (added.has(LIFETIME)) this.#deadline = this.#base.deadline;
  }
}
