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
