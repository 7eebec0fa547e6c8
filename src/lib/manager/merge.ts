import type { StoredRow } from "../session/state.ts";
import { isReserved, REMEMBER_ME } from "../session/reserved.ts";
import { recordOf, type Session } from "../session/session.ts";

/**
 * Sets in a session what the row of another holds; its user and its login are left out, and the later deadline counts.
 *
 * @throws AlreadyCommittedError when the session can't be changed any more
 */
export function mergeRow<Data>(session: Session<Data>, { values, deadline }: StoredRow): void {
  recordOf(session).assertWritable("mergeSession", undefined);
  for (const [key, value] of values) {
    if (key === REMEMBER_ME || !isReserved(key)) recordOf(session).apply({ kind: "set", key, value });
  }
  if (deadline > session.deadline) session.setDeadline(deadline);
}
