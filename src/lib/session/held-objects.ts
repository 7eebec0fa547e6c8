import { equalValues, tryCloneValue, type Value } from "../core/value.ts";

/**
 * The objects of a session that the application holds, each with a copy of its last known state. A difference is a
 * change of the key.
 *
 * After a conflict the row is decoded again, into new objects. The application's object takes the place of a new one
 * that equals it, so that later changes in place still reach the session.
 */
export class HeldObjects {
  /** The objects by key, in the order of their first read, with their copies. The copy of an object that can't be stored is undefined. */
  readonly #objects = new Map<string, Map<object, Value | undefined>>();
  /** The objects among them that are defaults of absent keys. */
  #defaults: Map<string, Value> | undefined;

  /** Begins to watch the default of an absent key. */
  holdDefault(key: string, value: Value & object): void {
    this.hold(key, value);
    (this.#defaults ??= new Map()).set(key, value);
  }

  /** Returns the default that the application holds. */
  defaultOf(key: string): Value | undefined {
    return this.#defaults?.get(key);
  }

  /** The keys of the defaults. */
  get defaultKeys(): Iterable<string> {
    return this.#defaults?.keys() ?? [];
  }

  /** Begins to watch an object. */
  hold(key: string, value: Value & object): void {
    const held = this.#objects.get(key);
    if (held === undefined) this.#objects.set(key, new Map([[value, tryCloneValue(value)]]));
    else if (!held.has(value)) held.set(value, tryCloneValue(value));
  }

  /**
   * Returns the objects changed in place since the last call. Every call returns those that can't be stored.
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

  /** Returns what is watched now, for `watchAgain`. */
  copy(): HeldObjects {
    const copy = new HeldObjects();
    copy.watchAgain(this);
    return copy;
  }

  /** Watches objects that were released meanwhile as well. */
  watchAgain(earlier: HeldObjects): void {
    for (const [key, held] of earlier.#objects) {
      const now = this.#objects.get(key);
      if (now === undefined) this.#objects.set(key, held);
      else for (const [object, copy] of held) if (!now.has(object)) now.set(object, copy);
    }
    for (const [key, value] of earlier.#defaults ?? []) (this.#defaults ??= new Map()).set(key, value);
  }

  /** Stops watching the objects of a key. */
  release(key: string): void {
    this.#objects.delete(key);
    this.#defaults?.delete(key);
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
    this.#defaults?.clear();
  }
}
