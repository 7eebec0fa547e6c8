import { equalValues, tryCloneValue, type Value } from "../core/value.ts";

/**
 * The objects of a session that its application holds, with a copy of each as it was last seen: changing one in place
 * counts as setting its key.
 *
 * What an application holds outlives a conflict. The row is read again then, and its objects are others; where they say the
 * same, the application's take their place, so that a change that comes later is still a change of the session.
 */
export class HeldObjects {
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
