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
 * Continues the session of another package, such as express-session, as a session of pgstore.
 *
 * The token is derived from the other session's id, so only one of several parallel requests creates the row. A
 * tombstone means that the session was continued before.
 *
 * Why: docs/decisions/037-continued-sessions.md
 */

/**
 * Carries out `SessionHost.continue`. Without another session the request's session stays new.
 *
 * @throws StoreUnavailableError, StoreError or SessionTooLargeError when the session could not be stored
 */
export async function continueSession(
  access: StoreAccess,
  users: UserSessions,
  state: SessionState,
  token: string,
  read: () => Promise<ContinuedSession | undefined>,
): Promise<boolean> {
  const id = access.idOf(token);
  const settle = async (row: StoredRow, count: number): Promise<void> => {
    state.settle(row, id, token, count);
    state.tellToken(token, cookieLife(row, access.options, await access.now()));
  };
  /** Creates the row. Returns false, with nothing changed, when it exists. */
  const create = async (other: ContinuedSession): Promise<WriteOutcome> => {
    const changes = changesOf(other, id, access);
    state.changeToken(token);
    for (const change of changes) state.values.apply(change);
    try {
      const plan = planCommit(planStateOf(state), access.options, await access.now());
      if (plan.kind !== "create") return false;
      const row = access.encode(state, plan, id);
      const count = state.values.changes.length;
      const outcome = await users.create(id, row, state);
      if (outcome === true) await settle(row, count);
      return outcome;
    } finally {
      if (state.phase === "new") {
        state.values.withdraw(changes, undefined);
        // A session that begins now is not the continuation, so the old cookie must not lead to it.
        state.changeToken(createToken());
      }
    }
  };
  let found = await access.reader.lookUp(id);
  if (found === undefined) {
    const other = await read();
    if (other !== undefined && (await create(other)) !== false) return true;
    // Another request may have continued it meanwhile.
    found = await access.reader.lookUp(id);
  }
  if (found === undefined) return false;
  if (typeof found === "string") {
    state.endElsewhere(id, found);
    return true;
  }
  const row = access.decode(id, found);
  state.rebase(row);
  await settle(row, 0);
  return true;
}

/** Returns the changes that give a new session the values, the user and the kind of cookie of the other one. @param id - the new one's */
function changesOf({ values, userId, isPersistent }: ContinuedSession, id: string, access: StoreAccess): Change[] {
  const { schema, idleTimeout } = access.options;
  const set = (key: string, value: Value): Change => ({ kind: "set", key, value });
  const own = new Map(Object.entries(values).filter(([key]) => !isReserved(key)));
  // Checked like the values of a row.
  const checked = schema === undefined ? own : schema.load(own, access.publicId(id));
  const changes = Array.from(checked, ([key, value]) => set(key, value));
  if (userId !== undefined) {
    // The time of the login is unknown. Without it, `requireFresh` asks for another login.
    const login = { values: new Map([[USER_ID, userId]]), keeps: () => true };
    changes.push({ kind: "login", login });
  }
  if (isPersistent) {
    changes.push(set(REMEMBER_ME, true));
    if (idleTimeout > 0) changes.push(set(IDLE_TIMEOUT, idleTimeout));
  }
  return changes;
}
