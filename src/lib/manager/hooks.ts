/** What `onLogin` is told. */
export interface LoginEvent {
  userId: string;
  /** The session's id: safe to show and to log. */
  id: string;
  /** Where the login came from, as far as the request tells; whether it is stored is the manager's `recordIp`. */
  ip: string | undefined;
  /** As `ip`; `recordUserAgent`. */
  userAgent: string | undefined;
}

/** What `onEnd` is told. */
export interface EndEvent {
  /** Undefined when nobody was logged in. */
  userId: string | undefined;
  /** The session's id: safe to show and to log. */
  id: string;
  /**
   * "destroyed": its holder has logged out. "revoked": it was ended from outside, by `destroyByUser` and its kin or the limit of sessions
   * per user. "replaced": another user has logged in, or `reset()` was called.
   */
  why: "destroyed" | "revoked" | "replaced";
}

/** Calls a hook of the application's. What has happened has happened, whatever the hook makes of it: its failure is logged. */
export function callHook<Event>(name: string, hook: ((event: Event) => unknown) | undefined, event: Event): void {
  const failed = (error: unknown): void => console.error(`pgstore: ${name} failed:`, error);
  try {
    void Promise.resolve(hook?.(event)).catch(failed);
  } catch (error) {
    failed(error);
  }
}

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
