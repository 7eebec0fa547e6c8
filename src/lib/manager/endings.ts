/** Tells those of this process who hold on to a session, a WebSocket say, that it has ended here. */
export class Endings {
  readonly #listeners = new Map<string, Set<() => void>>();

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
