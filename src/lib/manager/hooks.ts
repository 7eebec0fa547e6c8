import type { LoginDetails } from "../core/login-details.ts";

/** A login, as `onLogin` gets it, with details of its client. They are given even if `recordIp` and `recordUserAgent` keep them out of the table. */
export interface LoginEvent extends LoginDetails {
  userId: string;
  /** The session's id: safe to show and to log. */
  id: string;
}

/** The end of a session, as `onEnd` gets it. */
export interface EndEvent {
  /** Undefined when no user was logged in. */
  userId: string | undefined;
  /** The session's id: safe to show and to log. */
  id: string;
  /**
   * "destroyed": its holder logged out. "revoked": it was ended from outside, by `destroyByUser`, `destroyById`, `destroyByTag` or
   * `maxSessionsPerUser`. "replaced": another user logged in, or `reset()` was called.
   */
  why: "destroyed" | "revoked" | "replaced";
}

/** Calls a hook of the application. A failure of the hook is logged and has no other effect. */
export async function callHook<Event>(name: string, hook: (event: Event) => unknown, event: Event): Promise<void> {
  try {
    await hook(event);
  } catch (error) {
    console.error(`pgstore: ${name} failed:`, error);
  }
}

/** Listeners for sessions ended by this process, such as those of a WebSocket, and the hook `onEnd`. */
export class EndListeners {
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #onEnd: ((event: EndEvent) => unknown) | undefined;
  readonly #publicId: (id: string) => string;

  /** Begins without listeners. @param publicId - turns an id, which with `hashTokens: false` is the token, into one safe to show */
  constructor(onEnd: ((event: EndEvent) => unknown) | undefined, publicId: (id: string) => string) {
    this.#onEnd = onEnd;
    this.#publicId = publicId;
  }

  /** Calls the listeners of a session and the hook `onEnd`. */
  ended(id: string, why: EndEvent["why"], userId: string | undefined): void {
    this.tell(id);
    if (this.#onEnd !== undefined) void callHook("onEnd", this.#onEnd, { userId, id: this.#publicId(id), why });
  }

  /** Calls `listener` when a session ends. Returns a function that removes it. */
  watch(id: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(id) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(id, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(id) === listeners) this.#listeners.delete(id);
    };
  }

  /** Calls the listeners of a session. Their errors are logged. */
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
