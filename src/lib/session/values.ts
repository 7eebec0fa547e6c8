import { assertValue, cloneValue, equalValues, tryCloneValue, type Value } from "../core/value.ts";
import { isReserved, type Login, REMEMBER_ME, RESERVED, REVOKED, USER_ID } from "./reserved.ts";
import type { DataSchema } from "./schema.ts";

/** A row as this process has read or written it. */
export interface StoredRow {
  data: Uint8Array;
  values: ReadonlyMap<string, Value>;
  deadline: Date;
  expiry: Date;
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
 * The map of values is shared with the row until the first change copies it.
 *
 * Why: docs/decisions/001-compare-and-swap-on-bytes.md, docs/decisions/005-changing-in-place-counts.md
 */
export class SessionValues {
  #values: Map<string, Value>;
  #isShared = true;
  /** The deadline in the row. */
  #loadedDeadline: Date | undefined;
  #deadline: Date | undefined;
  #isDeadlineMoved = false;
  #changes: Change[] = [];
  /** Objects that the application holds and may change in place. */
  #held: HeldObjects | undefined;

  /** Begins with the values of a row, or without any. */
  constructor(row: StoredRow | undefined) {
    this.#values = row === undefined ? new Map() : (row.values as Map<string, Value>);
    this.#isShared = row !== undefined;
    this.#loadedDeadline = row?.deadline;
    this.#deadline = row?.deadline;
  }

  /** All values, the reserved ones included. */
  get all(): ReadonlyMap<string, Value> {
    return this.#values;
  }

  get deadline(): Date | undefined {
    return this.#deadline;
  }

  /** Whether this request has set the deadline, so that the row's expiry no longer bounds it. */
  get isDeadlineMoved(): boolean {
    return this.#isDeadlineMoved;
  }

  get changes(): readonly Change[] {
    return this.#changes;
  }

  /** The number of the application's keys. */
  get size(): number {
    this.#collectDefaults();
    let size = this.#values.size;
    for (const key of RESERVED) if (this.#values.has(key)) size--;
    return size;
  }

  /** Lists the application's keys, sorted. */
  keys(): string[] {
    this.#collectDefaults();
    const keys = [...this.#values.keys()].filter((key) => !isReserved(key));
    return keys.toSorted();
  }

  /** Tells whether a key is present. */
  has(key: string): boolean {
    this.#collectDefaults();
    return this.#values.has(key);
  }

  /**
   * Reads a value and begins to watch it, if it is an object, for changes in place.
   *
   * @param schema - has the defaults of absent keys. A default belongs to the session once it was changed in place
   */
  read(key: string, schema?: DataSchema): Value | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return schema && this.#readDefault(key, schema);
    if (typeof value === "object" && value !== null) (this.#held ??= new HeldObjects()).hold(key, value);
    return value;
  }

  /** Reads a value and removes its key. */
  pop(key: string, schema: DataSchema | undefined): Value | undefined {
    const isPresent = this.has(key);
    const value = isPresent ? this.#values.get(key) : schema?.defaultOf(key);
    if (isPresent) this.apply({ kind: "delete", key });
    else this.#held?.release(key);
    return value;
  }

  #readDefault(key: string, schema: DataSchema): Value | undefined {
    const known = this.#held?.defaults.get(key);
    if (known !== undefined) return known;
    const value = schema.defaultOf(key);
    if (typeof value === "object" && value !== null) {
      this.#held ??= new HeldObjects();
      this.#held.hold(key, value);
      this.#held.defaults.set(key, value);
    }
    return value;
  }

  /** Records defaults that the application has changed in place, so that their keys are present. */
  #collectDefaults(): void {
    for (const key of this.#held?.defaults.keys() ?? []) this.collect(key);
  }

  /** Makes and records a change, after recording earlier changes in place. */
  apply(change: Change): void {
    const key = "key" in change ? change.key : undefined;
    this.collect(key);
    if (change.kind === "update") this.#freeze(change.key);
    this.#execute(change);
    this.#changes.push(change);
    // Objects that the application read before no longer belong to the session.
    if (key !== undefined) this.#held?.release(key);
    else if (change.kind === "clear") this.#held?.clear();
  }

  /** Sets the values of another session's row, except its login. The later deadline counts. @param deadline - the current one */
  merge(row: StoredRow, deadline: Date): void {
    for (const [key, value] of row.values) {
      if (key === REMEMBER_ME || !isReserved(key)) this.apply({ kind: "set", key, value });
    }
    if (row.deadline > deadline) this.apply({ kind: "deadline", deadline: row.deadline });
  }

  /** Sets a reserved value of the row to be written, without recording a change. */
  mark(key: string, value: Value): void {
    this.#own().set(key, value);
  }

  /** Removes a value that `mark` has set, and returns it. */
  unmark(key: string): Value | undefined {
    const value = this.#values.get(key);
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

  /** Checks the values that were changed in place, and replaces them with those that the schemas return. @throws as `DataSchema.accept` */
  checkChanged(schema: DataSchema): void {
    this.collect();
    for (const change of this.#changes) {
      if (change.kind !== "set" || change.isInPlace !== true) continue;
      const { key, value } = change;
      change.value = schema.accept(key, value, "value that was changed in place");
      change.isInPlace = false;
      if (this.#values.get(key) === value) this.#own().set(key, change.value);
    }
  }

  /** Checks every value that was set. @throws TypeError, naming the key, when a change in place has made a value that can't be stored */
  assertStorable(): void {
    for (const change of this.#changes) if (change.kind === "set") assertValue(change.key, change.value);
  }

  /**
   * Returns the current values for the row that is being written. Objects that were set stay the application's: later changes of them go
   * into the next row.
   */
  snapshot(): ReadonlyMap<string, Value> {
    for (const change of this.#changes) if ("key" in change) this.read(change.key);
    this.#isShared = true;
    return this.#values;
  }

  /** Replays this request's changes on another row, or on an empty session. */
  rebase(row: StoredRow | undefined): void {
    this.#values = row === undefined ? new Map() : (row.values as Map<string, Value>);
    this.#isShared = row !== undefined;
    this.#loadedDeadline = row?.deadline;
    this.#resetDeadline();
    for (const change of this.#changes) this.#execute(change);
    this.#held?.putBack(this.#own());
  }

  /** Removes some changes and replays the others on the row. */
  withdraw(changes: readonly Change[], row: StoredRow | undefined): void {
    this.#changes = this.#changes.filter((change) => !changes.includes(change));
    this.rebase(row);
  }

  /** Records that the row now has the first `count` changes. */
  settle(row: StoredRow, count: number): void {
    this.#changes.splice(0, count);
    this.#loadedDeadline = row.deadline;
    this.#isDeadlineMoved = this.#changes.some(({ kind }) => kind === "deadline");
    if (!this.#isDeadlineMoved) this.#deadline = row.deadline;
  }

  /** Stops watching the application's objects, which don't belong to the session that begins now. */
  releaseAll(): void {
    this.#held?.clear();
  }

  /** Drops all values and changes. The deadline stays readable. */
  drop(): void {
    this.#values = new Map();
    this.#isShared = false;
    this.#changes = [];
    this.#held?.clear();
  }

  #resetDeadline(): void {
    this.#deadline = this.#loadedDeadline;
    this.#isDeadlineMoved = false;
  }

  /** Returns a map of values that only this request uses. */
  #own(): Map<string, Value> {
    if (this.#isShared) {
      this.#values = new Map(this.#values);
      this.#isShared = false;
    }
    return this.#values;
  }

  /** Copies a value for `update`, whose step may change it and may run again. */
  #copyOf(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    assertValue(key, value);
    return cloneValue(value);
  }

  /** Copies objects that were set under a key, so that a replayed `update` begins from what they were. */
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
        this.#isDeadlineMoved = true;
        break;
    }
  }

  /** Carries out a login. Another user's values are dropped. */
  #logIn({ values: added, keeps, lifetime }: Login, values: Map<string, Value>): void {
    const before = values.get(USER_ID);
    const isAnothers = before !== undefined && before !== added.get(USER_ID);
    for (const key of values.keys()) {
      if (key === REVOKED || (!isAnothers && (isReserved(key) ? key === REMEMBER_ME : keeps(key)))) continue;
      values.delete(key);
      this.#held?.release(key);
    }
    for (const [key, value] of added) values.set(key, value);
    if (lifetime !== undefined) this.#resetDeadline();
  }
}

/**
 * The objects of a session that the application holds, each with a copy of its last known state. A difference is a change of the key.
 *
 * After a conflict the row is decoded again, into new objects. Where one equals the application's object, the application's takes its
 * place, so that later changes in place still reach the session.
 */
class HeldObjects {
  /** The objects by key, in the order of their first read, with their copies. The copy of an object that can't be stored is undefined. */
  readonly #objects = new Map<string, Map<object, Value | undefined>>();
  /** The objects among them that are defaults of absent keys. */
  readonly defaults = new Map<string, Value>();

  /** Begins to watch a value, if it is an object. */
  hold(key: string, value: Value | undefined): void {
    if (typeof value !== "object" || value === null) return;
    const held = this.#objects.get(key);
    if (held === undefined) this.#objects.set(key, new Map([[value, tryCloneValue(value)]]));
    else if (!held.has(value)) held.set(value, tryCloneValue(value));
  }

  /**
   * Returns the objects that were changed in place since the last call, and each time those that can't be stored.
   *
   * @param key - limits it to one key
   */
  takeChanged(key?: string): { key: string; value: Value & object; isStorable: boolean }[] {
    const changed: { key: string; value: Value & object; isStorable: boolean }[] = [];
    for (const [name, held] of this.#objects) {
      if (key !== undefined && key !== name) continue;
      for (const [object, copy] of held) {
        if (copy !== undefined && equalValues(copy, object)) continue;
        const value = object as Value & object;
        const next = tryCloneValue(value);
        held.set(value, next);
        changed.push({ key: name, value, isStorable: next !== undefined });
      }
    }
    return changed;
  }

  /** Stops watching the objects of a key. */
  release(key: string): void {
    this.#objects.delete(key);
    this.defaults.delete(key);
  }

  /** Replaces values that equal an object of the application with that object. */
  putBack(values: Map<string, Value>): void {
    for (const [key, held] of this.#objects) {
      const current = values.get(key);
      if (current === undefined || held.has(current as object)) continue;
      for (const [object, copy] of held) if (equalValues(copy, current)) values.set(key, object as Value);
    }
  }

  clear(): void {
    this.#objects.clear();
    this.defaults.clear();
  }
}
