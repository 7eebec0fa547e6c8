import { callHook, type EndEvent } from "./hooks.ts";

/** Tells those of this process who hold on to a session, a WebSocket say, that it has ended here, and the hook `onEnd`. */
export class Endings {
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #onEnd: ((event: EndEvent) => unknown) | undefined;
  readonly #idOf: (key: string) => string;

  /** @param idOf - what a hook may know of a key */
  constructor(onEnd: ((event: EndEvent) => unknown) | undefined, idOf: (key: string) => string) {
    this.#onEnd = onEnd;
    this.#idOf = idOf;
  }

  /** The session of a key has ended for good. */
  ended(key: string, why: EndEvent["why"], userId: string | undefined): void {
    this.tell(key);
    if (this.#onEnd !== undefined) callHook("onEnd", this.#onEnd, { userId, id: this.#idOf(key), why });
  }

  /** Calls `listener` when the session of a key ends. Returns what stops that. */
  watch(key: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(key, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
    };
  }

  /** The session has ended, whatever its listeners make of that: what they throw is logged. */
  tell(key: string): void {
    if (this.#listeners.size === 0) return;
    for (const listener of this.#listeners.get(key) ?? []) {
      try {
        listener();
      } catch (error) {
        console.error("pgstore: a listener of manager.watch failed:", error);
      }
    }
  }
}
