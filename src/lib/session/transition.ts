import type { EndReason } from "../core/store.ts";
import { createToken } from "../core/token.ts";
import type { CookieAttributes, CookieLife } from "../http/cookie.ts";
import type { Change, StoredRow } from "./values.ts";

/** The phase of a session in one request. `SessionState` has the table. */
export type Phase = "new" | "stored" | "stale" | "ended";

/** An ended session that a request has replaced by a new one. */
export interface Predecessor {
  id: string;
  why: EndReason;
  /** Its own predecessor in the same request. */
  earlier?: Predecessor | undefined;
}

/** A move of the session to a new token, written by the next commit. */
export interface Renewal {
  kind: "renew";
  token: string;
  keepDeadline: boolean;
  /** When the session has ended elsewhere, the request begins a new one (a login) instead of being dropped. */
  revive: boolean;
  /**
   * A log-out: the session ends if it has no value when the response's head leaves. If it was renewed elsewhere, the
   * new session ends.
   */
  isLogOut?: boolean;
  /** The changes that belong to the renewal: when it fails, they are undone with it. */
  changes: readonly Change[];
}

/** Options of a move to a new token. */
export type RenewalOptions = Pick<Renewal, "keepDeadline" | "revive" | "isLogOut">;

/** A step that the next commit makes in addition to writing the changes. */
export type Transition = Renewal | { kind: "destroy" };

/** A renewal that the store reported as failed although it may have been carried out: its answer was lost. */
export interface Doubt {
  token: string;
  id: string;
  /** The bytes of its row, if it was carried out. */
  data: Uint8Array;
}

/** The change of the client's cookie that the response's head carries. `clearing` has other cookies to remove. */
export type CookieUpdate =
  | { kind: "nothing" }
  | { kind: "clear"; clearing: readonly CookieAttributes[] }
  | { kind: "set"; token: string; life: CookieLife | undefined; clearing: readonly CookieAttributes[] };

/** A part of an adapter that takes part in commits. */
export interface CommitWatcher {
  /** Called in the turn of each commit, before its plan. @param now - the store's time in milliseconds since 1970 */
  prepare(now: number): void;
  /** Called when the values of a row have been encoded, before the application can change them. */
  encoded(values: StoredRow["values"]): void;
}

/** Makes a renewal that changes only the token. */
export function moveOn(): Renewal {
  return { kind: "renew", token: createToken(), keepDeadline: true, revive: false, changes: [] };
}
