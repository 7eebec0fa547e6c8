import type { WriteOutcome } from "../core/store.ts";
import { createToken } from "../core/token.ts";
import type { Value } from "../core/value.ts";
import type { ContinuedSession } from "../session/host.ts";
import { cookieLife, planCommit, planStateOf } from "../session/plan.ts";
import type { SessionState } from "../session/state.ts";
import { type Change, IDLE_TIMEOUT, isReserved, REMEMBER_ME, type StoredRow, USER_ID } from "../session/values.ts";
import type { StoreAccess } from "./store-access.ts";
import type { UserSessions } from "./user-sessions.ts";

/*
 * Continues the session of another package, such as express-session, in one of pgstore's.
 *
 * The token follows from the other session's id, so parallel requests create the row once and the others find it. A row that has ended says
 * that the session was continued before.
 *
 * Why: docs/decisions/037-continued-sessions.md
 */

/** Continues sessions of other packages. */
export class Continuation {
  readonly #access: StoreAccess;
  readonly #users: UserSessions;

  /** Writes to a store. */
  constructor(access: StoreAccess, users: UserSessions) {
    this.#access = access;
    this.#users = users;
  }

  /**
   * Makes the session of a request the continuation of another package's session. Without one the request's session stays new.
   *
   * @param state - of a request without a token
   * @param token - the same for each request with the other session
   * @param read - reads the other session; undefined when it is gone
   * @returns whether the other session is over: it was continued, now or before, or its user's sessions were revoked
   * @throws StoreUnavailableError, StoreError or SessionTooLargeError when the session could not be stored
   */
  async begin(state: SessionState, token: string, read: () => Promise<ContinuedSession | undefined>): Promise<boolean> {
    const id = this.#access.idOf(token);
    let found = await this.#access.reader.lookUp(id);
    if (found === undefined) {
      const other = await read();
      const outcome = other !== undefined && (await this.#create(state, token, id, other));
      if (outcome !== false) return true;
      // Another request may have continued it meanwhile.
      found = await this.#access.reader.lookUp(id);
    }
    if (found === undefined) return false;
    if (typeof found === "string") {
      state.endElsewhere(id, found);
      return true;
    }
    const row = this.#access.decode(id, found);
    state.rebase(row);
    state.settle(row, id, token, 0);
    await this.#tell(state, token, row);
    return true;
  }

  /** Creates the row. Returns false, with nothing changed, when there is one. */
  async #create(state: SessionState, token: string, id: string, other: ContinuedSession): Promise<WriteOutcome> {
    const changes = this.#changesOf(other, id);
    state.changeToken(token);
    for (const change of changes) state.values.apply(change);
    try {
      const now = await this.#access.now();
      const plan = planCommit(planStateOf(state), this.#access.options, now);
      if (plan.kind !== "create") return false;
      const row = this.#access.encode(state, plan, id);
      const count = state.values.changes.length;
      const outcome = await this.#users.create(id, row, state);
      if (outcome !== true) return outcome;
      state.settle(row, id, token, count);
      await this.#tell(state, token, row);
      return true;
    } finally {
      if (state.phase === "new") {
        state.values.withdraw(changes, undefined);
        // A session that begins now is not the continuation, so the old cookie must not lead to it.
        state.changeToken(createToken());
      }
    }
  }

  #changesOf({ values, userId, isPersistent }: ContinuedSession, id: string): Change[] {
    const set = (key: string, value: Value): Change => ({ kind: "set", key, value });
    const { schema } = this.#access.options;
    const own = new Map(Object.entries(values).filter(([key]) => !isReserved(key)));
    // As for values that an earlier release has stored.
    const checked = schema === undefined ? own : schema.load(own, this.#access.publicId(id));
    const changes = Array.from(checked, ([key, value]) => set(key, value));
    if (userId !== undefined) {
      // Without the time of the login, which is unknown, so that `requireFresh` asks for another one.
      const login = { values: new Map([[USER_ID, userId]]), keeps: () => true, lifetime: undefined };
      changes.push({ kind: "login", login });
    }
    if (isPersistent) {
      changes.push(set(REMEMBER_ME, true));
      if (this.#access.options.idleTimeout > 0) changes.push(set(IDLE_TIMEOUT, this.#access.options.idleTimeout));
    }
    return changes;
  }

  async #tell(state: SessionState, token: string, row: StoredRow): Promise<void> {
    state.tellToken(token, cookieLife(row, this.#access.options, await this.#access.now()));
  }
}
