import { assertValue, cloneValue, equalValues, tryCloneValue, type Value } from "../core/value.ts";
import { isReserved, type Login, REMEMBER_ME, RESERVED, REVOKED, USER_ID } from "./reserved.ts";

/** A row as it was read, or as this process has written it. */
export interface StoredRow {
  data: Uint8Array;
  values: ReadonlyMap<string, Value>;
  deadline: Date;
  expiry: Date;
}

/** One change, recorded so that it can be made again on newer values. */
export type Change =
  | { kind: "set"; key: string; value: Value }
  | { kind: "delete"; key: string }
  | { kind: "clear"; reserved: boolean }
  | { kind: "login"; login: Login }
  | { kind: "update"; key: string; step: (current: Value | undefined) => Value }
  | { kind: "deadline"; deadline: Date };

/**
 * The values and the deadline of a session in one request, with the changes that the request has made of them.
 *
 * A conflict is resolved by replay: the values of the newer row take the place of those that were loaded, and each change is made again
 * on top of them. What the application changes in place, in an object that it has read or set, becomes a change as well.
 *
 * The map of values is shared with the row until the first change copies it.
 */
export class SessionValues {
  #values: Map<string, Value>;
  #isShared = true;
  /** Of the row. */
  #loadedDeadline: Date | undefined;
  #deadline: Date | undefined;
  #isDeadlineMoved = false;
  #changes: Change[] = [];
  /** What the application holds and may change in place. */
  #held: HeldObjects | undefined;

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

  /** How many of the application's keys there are. */
  get size(): number {
    let size = this.#values.size;
    for (const key of RESERVED) if (this.#values.has(key)) size--;
    return size;
  }

  /** Reads a value. An object stays observed, so that changing it in place counts as setting it. */
  read(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (typeof value === "object" && value !== null) (this.#held ??= new HeldObjects()).hold(key, value);
    return value;
  }

  /** Makes a change and remembers it, after the changes that were made in place before it. */
  apply(change: Change): void {
    const key = "key" in change ? change.key : undefined;
    this.collect(key);
    if (change.kind === "update") this.#freeze(change.key);
    this.#execute(change);
    this.#changes.push(change);
    // What the application has read before is not the session's any more.
    if (key !== undefined) this.#held?.release(key);
    else if (change.kind === "clear") this.#held?.clear();
  }

  /** Sets what the row of another session holds but its login. The later deadline counts. @param deadline - the present one */
  merge(row: StoredRow, deadline: Date): void {
    for (const [key, value] of row.values) {
      if (key === REMEMBER_ME || !isReserved(key)) this.apply({ kind: "set", key, value });
    }
    if (row.deadline > deadline) this.apply({ kind: "deadline", deadline: row.deadline });
  }

  /** Sets a reserved value that belongs to the row to be written, and is no change of the request's. */
  mark(key: string, value: Value): void {
    this.#own().set(key, value);
  }

  /** Removes such a value, and returns it. */
  unmark(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) this.#own().delete(key);
    return value;
  }

  /** Turns changes made in place, in objects that the application holds, into recorded ones. */
  collect(key?: string): void {
    if (this.#held === undefined) return;
    for (const { key: name, value, isStorable } of this.#held.takeChanged(key)) {
      this.#own().set(name, value);
      const isNoted = this.#changes.some((change) => change.kind === "set" && change.value === value);
      if (isStorable || !isNoted) this.#changes.push({ kind: "set", key: name, value });
    }
  }

  /** @throws TypeError that names the key of a value that was changed in place into something that can't be stored */
  assertStorable(): void {
    for (const change of this.#changes) if (change.kind === "set") assertValue(change.key, change.value);
  }

  /**
   * The values as they are now, for the row that is written from them. Objects that were set stay the caller's: changed from now on,
   * they go into the next row.
   */
  snapshot(): ReadonlyMap<string, Value> {
    for (const change of this.#changes) if ("key" in change) this.read(change.key);
    this.#isShared = true;
    return this.#values;
  }

  /** Makes this request's changes again on top of another row, or of nothing. */
  rebase(row: StoredRow | undefined): void {
    this.#values = row === undefined ? new Map() : (row.values as Map<string, Value>);
    this.#isShared = row !== undefined;
    this.#loadedDeadline = row?.deadline;
    this.#resetDeadline();
    for (const change of this.#changes) this.#execute(change);
    this.#held?.putBack(this.#own());
  }

  /** Takes back some changes. The others are made again on top of the row. */
  withdraw(changes: readonly Change[], row: StoredRow | undefined): void {
    this.#changes = this.#changes.filter((change) => !changes.includes(change));
    this.rebase(row);
  }

  /** Takes note that the row holds the first `count` changes now. */
  settle(row: StoredRow, count: number): void {
    this.#changes.splice(0, count);
    this.#loadedDeadline = row.deadline;
    this.#isDeadlineMoved = this.#changes.some(({ kind }) => kind === "deadline");
    if (!this.#isDeadlineMoved) this.#deadline = row.deadline;
  }

  /** Forgets the objects that the application holds: they are nothing of the session that begins now. */
  releaseAll(): void {
    this.#held?.clear();
  }

  /** Drops everything. The deadline stays readable. */
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

  /** The map of values, as this request's own. */
  #own(): Map<string, Value> {
    if (this.#isShared) {
      this.#values = new Map(this.#values);
      this.#isShared = false;
    }
    return this.#values;
  }

  /** A step may change what it is given. Made again, it must begin from what was there. */
  #copyOf(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    assertValue(key, value);
    return cloneValue(value);
  }

  /** An object that was set stays the caller's. Made again, the step must begin from what it was when it was first made. */
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

  /** A login: nobody gets what another user's session held. */
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
 * The objects of a session that its application holds, with a copy of each as it was last seen: changing one in place
 * counts as setting its key.
 *
 * What an application holds outlives a conflict. The row is read again then, and its objects are others; where they say the
 * same, the application's take their place, so that a change that comes later is still a change of the session.
 */
class HeldObjects {
  /** By key, the object that was handed out last comes last. The copy is undefined of what can't be stored. */
  readonly #objects = new Map<string, Map<object, Value | undefined>>();

  /** Begins to watch a value, if it is an object. */
  hold(key: string, value: Value | undefined): void {
    if (typeof value !== "object" || value === null) return;
    const held = this.#objects.get(key);
    if (held === undefined) this.#objects.set(key, new Map([[value, tryCloneValue(value)]]));
    else if (!held.has(value)) held.set(value, tryCloneValue(value));
  }

  /**
   * The objects of a key, or of all, that have been changed in place since this was last asked; what can't be stored, each time.
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

  /** Lets the objects of a key go: it holds something else now. */
  release(key: string): void {
    this.#objects.delete(key);
  }

  /** Puts the application's objects in the place of those that say the same. */
  putBack(values: Map<string, Value>): void {
    for (const [key, held] of this.#objects) {
      const current = values.get(key);
      if (current === undefined || held.has(current as object)) continue;
      for (const [object, copy] of held) if (equalValues(copy, current)) values.set(key, object as Value);
    }
  }

  clear(): void {
    this.#objects.clear();
  }
}
