import type { CookieLife } from "../http/cookie.ts";
import {
  formLifetimeIn,
  IDLE_TIMEOUT,
  idleTimeoutIn,
  LIFETIME,
  numberIn,
  REMEMBER_ME,
  type StoredRow,
} from "./values.ts";
import type { SessionState } from "./state.ts";

/*
 * The policy of a commit: what happens to the session's row. One pure function decides it, from the state, the options and the time.
 *
 * - destroy: the request presented a session and the application ended it, or Passport's log-out has left it empty. Without one there is
 *   nothing to end.
 * - drop: the session ended shortly before the request. Its changes are lost and the client is told nothing.
 * - create: a new session has a value to keep. A visitor who stores nothing gets no row.
 * - renew: the row moves to a new token. The lifetime begins anew, unless the deadline is to be kept or was set.
 * - replace: the values or the deadline have changed.
 * - touch: nothing has changed, and the expiry is behind by `touchAfter` or more. Without an idle timeout there are no touches.
 * - nothing: none of these applies.
 *
 * The expiry is the deadline, or the end of the idle timeout if that is sooner. Activity never moves it past the deadline. A session that
 * only backs an open form lives as long as the form. The first value stored in it begins a lifetime of normal length.
 *
 * Why: docs/decisions/002-time-is-the-databases.md, docs/decisions/003-set-cookie-only-when-needed.md
 */

/** The instants of a row, in milliseconds since 1970, in the store's time. */
export interface RowTimes {
  expiry: number;
  deadline: number;
}

/** The write that a commit makes. */
export type CommitPlan =
  | { kind: "nothing" | "destroy" | "drop" }
  | { kind: "touch"; expiry: number }
  | ({ kind: "create" | "replace" | "renew" } & RowTimes);

/** The facts about a session that the plan depends on. */
export type PlanState = ReturnType<typeof planStateOf>;

/** The manager's options that the plan depends on, in milliseconds. */
export interface PlanOptions {
  lifetime: number;
  /** 0: none. */
  idleTimeout: number;
  touchAfter: number;
}

const NOTHING: CommitPlan = { kind: "nothing" };

/**
 * Decides what a commit does to the session's row.
 *
 * @param now - milliseconds since 1970, in the store's time
 */
export function planCommit(state: PlanState, options: PlanOptions, now: number): CommitPlan {
  const { phase, ending, changed } = state;
  const idleTimeout = state.idleTimeout ?? options.idleTimeout;
  const lifetime = state.lifetime ?? options.lifetime;
  const until = (deadline: number): RowTimes => ({
    expiry: idleTimeout > 0 ? Math.min(now + idleTimeout, deadline) : deadline,
    deadline,
  });
  const begun = now + Math.min(lifetime, state.formLifetime ?? lifetime);
  if (ending === "destroy") return state.presented ? { kind: "destroy" } : NOTHING;
  if (phase === "ended") return NOTHING;
  if (phase === "stale") return changed && ending === undefined ? { kind: "drop" } : NOTHING;
  if (phase === "new") {
    if (!changed || state.empty) return NOTHING;
    return { kind: "create", ...until(state.deadline ?? begun) };
  }
  const kept = until(ceiling(state));
  if (ending === "renew") {
    if (state.endsEmpty && state.empty) return { kind: "destroy" };
    const isKept = (state.keepDeadline && !state.wasForm) || state.deadlineMoved;
    return { kind: "renew", ...(isKept ? kept : until(begun)) };
  }
  if (changed && state.wasForm && !state.deadlineMoved) return { kind: "replace", ...until(begun) };
  if (changed) return { kind: "replace", expiry: kept.expiry, deadline: state.deadline ?? kept.expiry };
  if (idleTimeout === 0 || state.expiry === undefined) return NOTHING;
  const behind = kept.expiry - state.expiry;
  return behind > 0 && behind >= touchAfterOf(state, options) ? { kind: "touch", expiry: kept.expiry } : NOTHING;
}

/** Returns the latest possible expiry: the deadline, or the row's expiry if another program set a later one. */
function ceiling(state: PlanState): number {
  const deadline = state.deadline ?? 0;
  return state.deadlineMoved ? deadline : Math.max(deadline, state.expiry ?? deadline);
}

/** Scales the manager's `touchAfter` to a session's own idle timeout. */
function touchAfterOf({ idleTimeout }: PlanState, options: PlanOptions): number {
  if (idleTimeout === undefined) return options.touchAfter;
  return options.idleTimeout === 0 ? idleTimeout / 20 : (options.touchAfter / options.idleTimeout) * idleTimeout;
}

/** Returns the life of a row's cookie in milliseconds since 1970. Undefined: it ends with the browser's session. */
export function cookieLife(
  { values, expiry }: StoredRow,
  { persist }: { persist: boolean },
  now: number,
): CookieLife | undefined {
  // The session's own choice, or else the manager's option.
  return (values.get(REMEMBER_ME) ?? persist) === true ? { now, expiry: expiry.getTime() } : undefined;
}

/** Collects the facts that the plan depends on. */
export function planStateOf(state: SessionState) {
  const { phase, transition, row, values } = state;
  const { all } = values;
  return {
    phase,
    changed: state.hasChanged,
    /** There is no value to keep. Settings of the lifetime alone are no reason for a row. */
    empty: all.size === Number(all.has(REMEMBER_ME)) + Number(all.has(IDLE_TIMEOUT)),
    ending: transition?.kind,
    /** The request presented a session, live or ended, or several, none of which counts. */
    presented: state.id !== undefined || state.predecessor !== undefined || state.rivals.length > 0,
    /** Lifetime in milliseconds of a session that only backs an open form. Undefined for other sessions. */
    formLifetime: formLifetimeIn(all),
    /** The row only backs an open form. */
    wasForm: row !== undefined && formLifetimeIn(row.values) !== undefined,
    keepDeadline: transition?.kind === "renew" && transition.keepDeadline,
    /** A log-out: the session ends if it has no values when the response's head leaves. */
    endsEmpty: transition?.kind === "renew" && transition.isLogOut === true && state.sealedBy === "head",
    /** The deadline from the row, or the one set in this request (`deadlineMoved`). */
    deadline: values.deadline?.getTime(),
    deadlineMoved: values.isDeadlineMoved,
    expiry: row?.expiry.getTime(),
    /** The session's own lifetime and idle timeout (0: none) in milliseconds. Undefined: the manager's. */
    lifetime: numberIn(all, LIFETIME),
    idleTimeout: idleTimeoutIn(all),
  };
}
