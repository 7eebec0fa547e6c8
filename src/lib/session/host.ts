import type { Value } from "../core/value.ts";
import type { DataSchema } from "./schema.ts";
import type { SessionState } from "./state.ts";
import type { Change } from "./values.ts";

/** A session of another package that is to be continued. */
export interface ContinuedSession {
  values: Record<string, Value>;
  /** The user who is logged in. */
  userId: string | undefined;
  /** Whether its cookie outlives the browser's session. */
  isPersistent: boolean;
}

/** Services that a session gets from the manager that loaded it. */
export interface SessionHost {
  /** The schemas of the data, if there are any. */
  readonly schema: DataSchema | undefined;
  /** Writes the state's changes to the store. */
  flush(state: SessionState): Promise<void>;
  /**
   * Stores a new session after `login`, `reset` or `renewToken`, if no response commits it later.
   *
   * @param changes - undone when the session can't be stored
   */
  begin?(state: SessionState, changes: readonly Change[]): Promise<void>;
  /** Returns the id of a token's session. */
  idOf(token: string): string;
  /** Returns the store's time in milliseconds since 1970, or a promise of it when the store has to be asked. */
  now(): number | Promise<number>;
  /** Returns the store's time at once, in milliseconds since 1970, estimated by the process's clock if need be. */
  estimatedNow(): number;
  /** Estimates the deadline of a session that begins now. @param lifetime - milliseconds. Undefined: the manager's */
  newDeadline(lifetime: number | undefined): Date;
  /**
   * Makes a request's new session the continuation of another package's session, once for all requests with the same token.
   *
   * @param token - the same for each request with the other session
   * @param read - reads the other session; undefined when it is gone
   * @returns whether the other session is over: it was continued, now or before, or its user's sessions were revoked
   */
  continue(state: SessionState, token: string, read: () => Promise<ContinuedSession | undefined>): Promise<boolean>;
  /** Checks that the store can find sessions by tags. @throws TypeError when it can't */
  assertTags(): void;
}
