import { type StoredRow, USER_ID } from "../session/record.ts";
import { recordOf, type Session } from "../session/session.ts";

/**
 * Sets in a session what the row of another holds; its user is left out, and the later deadline counts.
 *
 * @throws AlreadyCommittedError when the session can't be changed any more
 */
export function mergeRow<Data>(session: Session<Data>, { values, deadline }: StoredRow): void {
  recordOf(session).assertWritable("mergeSession", undefined);
  for (const [key, value] of values) {
    if (key !== USER_ID) recordOf(session).apply({ kind: "set", key, value });
  }
  if (deadline > session.deadline) session.setDeadline(deadline);
}
