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
export class EndListeners {
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #onEnd: ((event: EndEvent) => unknown) | undefined;
  readonly #publicId: (id: string) => string;

  /** @param publicId - what a hook may know of an id, which is the token where `hashTokens` is off */
  constructor(onEnd: ((event: EndEvent) => unknown) | undefined, publicId: (id: string) => string) {
    this.#onEnd = onEnd;
    this.#publicId = publicId;
  }

  /** Tells that a session has ended for good. */
  ended(id: string, why: EndEvent["why"], userId: string | undefined): void {
    this.tell(id);
    if (this.#onEnd !== undefined) callHook("onEnd", this.#onEnd, { userId, id: this.#publicId(id), why });
  }

  /** Calls `listener` when a session ends. Returns what stops that. */
  watch(id: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(id) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(id, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(id) === listeners) this.#listeners.delete(id);
    };
  }

  /** The session has ended, whatever its listeners make of that: what they throw is logged. */
  tell(id: string): void {
    if (this.#listeners.size === 0) return;
    for (const listener of this.#listeners.get(id) ?? []) {
      try {
        listener();
      } catch (error) {
        console.error("pgstore: a listener of manager.watch failed:", error);
      }
    }
  }
}
