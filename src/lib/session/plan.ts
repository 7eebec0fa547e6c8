import { formLifetimeIn, IDLE_TIMEOUT, REMEMBER_ME } from "./reserved.ts";
import type { SessionState } from "./state.ts";

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
  /** What the session has in the place of the manager's options. Milliseconds; undefined: those count. */
  lifetime: number | undefined;
  /** 0: none. */
  idleTimeout: number | undefined;
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
  const idleTimeout = state.idleTimeout ?? options.idleTimeout;
  const lifetime = state.lifetime ?? options.lifetime;
  /** An expiry and its deadline. */
  const until = (deadline: number): { expiry: number; deadline: number } => ({
    expiry: idleTimeout > 0 ? Math.min(now + idleTimeout, deadline) : deadline,
    deadline,
  });
  const begun = now + Math.min(lifetime, state.formLifetime ?? lifetime);
  if (ending === "destroy") return state.presented ? { kind: "destroy" } : NOTHING;
  if (phase === "ended") return NOTHING;
  if (phase === "stale") return changed && ending === undefined ? { kind: "drop" } : NOTHING;
  if (phase === "new") {
    // No row for a visitor who stores nothing.
    if (!changed || state.empty) return NOTHING;
    return { kind: "create", ...until(state.deadline ?? begun) };
  }
  const kept = until(ceiling(state));
  if (ending === "renew") {
    const isKept = (state.keepDeadline && !state.wasForm) || state.deadlineMoved;
    return { kind: "renew", ...(isKept ? kept : until(begun)) };
  }
  if (changed && state.wasForm && !state.deadlineMoved) return { kind: "replace", ...until(begun) };
  if (changed) return { kind: "replace", expiry: kept.expiry, deadline: state.deadline ?? kept.expiry };
  if (idleTimeout === 0 || state.expiry === undefined) return NOTHING;
  // The row's expiry tells when it was last moved; it moves again when it has fallen behind by touchAfter.
  const behind = kept.expiry - state.expiry;
  return behind > 0 && behind >= touchAfterOf(state, options) ? { kind: "touch", expiry: kept.expiry } : NOTHING;
}

/** Activity never moves the expiry past this: the deadline, or the row's own expiry where somebody else set that later. */
function ceiling(state: PlanState): number {
  const deadline = state.deadline ?? 0;
  return state.deadlineMoved ? deadline : Math.max(deadline, state.expiry ?? deadline);
}

/** Of a session with an idle timeout of its own, the same part of that. */
function touchAfterOf({ idleTimeout }: PlanState, options: PlanOptions): number {
  if (idleTimeout === undefined) return options.touchAfter;
  return options.idleTimeout === 0 ? idleTimeout / 20 : (options.touchAfter / options.idleTimeout) * idleTimeout;
}

/** Whether a commit has nothing to do, whatever the time: the plan of most requests, without making it. */
export function isUntouched(state: SessionState, options: PlanOptions): boolean {
  if (state.hasChanged || state.transition !== undefined) return false;
  return state.phase !== "stored" || (state.ownTimes.idleTimeout ?? options.idleTimeout) === 0;
}

/** What the plan depends on, of a session as it is now. */
export function planStateOf(state: SessionState): PlanState {
  const { phase, transition, row, values } = state;
  const { all } = values;
  return {
    phase,
    changed: state.hasChanged,
    // How long a session is to live is no reason for a row.
    empty: all.size === Number(all.has(REMEMBER_ME)) + Number(all.has(IDLE_TIMEOUT)),
    presented: state.isPresented,
    ending: transition?.kind,
    formLifetime: state.formLifetime,
    wasForm: row !== undefined && formLifetimeIn(row.values) !== undefined,
    keepDeadline: transition?.kind === "renew" && transition.keepDeadline,
    deadline: values.deadline?.getTime(),
    deadlineMoved: values.isDeadlineMoved,
    expiry: row?.expiry.getTime(),
    ...state.ownTimes,
  };
}
