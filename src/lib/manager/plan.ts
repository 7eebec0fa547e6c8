/** What must be done to the row of a session, and the instants to write. Milliseconds since 1970, in the store's time. */
export type CommitPlan =
  | { kind: "nothing" }
  | { kind: "touch"; expiry: number }
  | { kind: "create"; expiry: number; deadline: number }
  | { kind: "replace"; expiry: number; deadline: number }
  | { kind: "renew"; expiry: number; deadline: number }
  | { kind: "destroy" }
  /** The changes are not stored, nor is the client told of anything. */
  | { kind: "drop" };

/** What the plan depends on, of one session. */
export interface PlanState {
  phase: "new" | "stored" | "stale" | "ended";
  /** Changes wait to be written. */
  changed: boolean;
  /** There is no value to keep. */
  empty: boolean;
  ending: "renew" | "destroy" | undefined;
  /** The request came with the token of a session, live or not, or with several of which none counts. */
  presented: boolean;
  /** Milliseconds that the session may live as it holds nothing but an open form. */
  formLifetime: number | undefined;
  /** Its row holds nothing but an open form: what is stored now gives it a lifetime of its own. */
  wasForm: boolean;
  /** Renewing leaves the deadline as it is. */
  keepDeadline: boolean;
  /** The deadline that was loaded, or set in this request (`deadlineMoved`). */
  deadline: number | undefined;
  deadlineMoved: boolean;
  /** The row's expiry. */
  expiry: number | undefined;
}

/** What the plan depends on, of the manager's options. Milliseconds. */
export interface PlanOptions {
  lifetime: number;
  /** 0: none. */
  idleTimeout: number;
  touchAfter: number;
}

const NOTHING: CommitPlan = { kind: "nothing" };

/**
 * Decides what a commit does: the whole life of a session in one pure function.
 *
 * @param now - milliseconds since 1970, in the store's time
 */
export function planCommit(state: PlanState, options: PlanOptions, now: number): CommitPlan {
  const { phase, ending, changed } = state;
  const lifetime = Math.min(options.lifetime, state.formLifetime ?? options.lifetime);
  if (ending === "destroy") return state.presented ? { kind: "destroy" } : NOTHING;
  if (phase === "ended") return NOTHING;
  if (phase === "stale") return changed && ending === undefined ? { kind: "drop" } : NOTHING;
  if (phase === "new") {
    // No row for a visitor who stores nothing.
    if (!changed || state.empty) return NOTHING;
    return { kind: "create", ...instants(state.deadline ?? now + lifetime, options, now) };
  }
  if (ending === "renew") {
    const kept = state.keepDeadline || state.deadlineMoved;
    return { kind: "renew", ...instants(kept ? ceiling(state) : now + lifetime, options, now) };
  }
  if (changed && state.wasForm && !state.deadlineMoved) {
    return { kind: "replace", ...instants(now + lifetime, options, now) };
  }
  if (changed) {
    const { expiry } = instants(ceiling(state), options, now);
    return { kind: "replace", expiry, deadline: state.deadline ?? expiry };
  }
  return planTouch(state, options, now);
}

function planTouch(state: PlanState, options: PlanOptions, now: number): CommitPlan {
  if (options.idleTimeout === 0 || state.expiry === undefined) return NOTHING;
  const { expiry } = instants(ceiling(state), options, now);
  // The row's expiry tells when it was last moved; it moves again when it has fallen behind by touchAfter.
  const behind = expiry - state.expiry;
  return behind > 0 && behind >= options.touchAfter ? { kind: "touch", expiry } : NOTHING;
}

/** Activity never moves the expiry past this: the deadline, or the row's own expiry where somebody else set that later. */
function ceiling(state: PlanState): number {
  const deadline = state.deadline ?? 0;
  return state.deadlineMoved ? deadline : Math.max(deadline, state.expiry ?? deadline);
}

function instants(deadline: number, options: PlanOptions, now: number): { expiry: number; deadline: number } {
  const expiry = options.idleTimeout > 0 ? Math.min(now + options.idleTimeout, deadline) : deadline;
  return { expiry, deadline };
}
