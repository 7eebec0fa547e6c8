import { after } from "../../core/time.ts";
import type { Session } from "../../session/session.ts";
import type { DemoSession } from "./actions.ts";

/** Milliseconds that a write waits for its rival. */
const MAX_WAIT_MS = 1000;

/** Functions that let a waiting write go on, by the id of its session. */
const waiting = new Map<string, () => void>();

/** Adds 1 to two counters of a session. Both writes of a pair have read the session before either writes. */
export async function addInPairs(session: Session<DemoSession>): Promise<void> {
  const read = session.get("overwritten") ?? 0;
  await rivalOf(session.id ?? "");
  session.update("race", (before = 0) => before + 1);
  // The last write wins, as in a store that overwrites the whole session.
  session.set("overwritten", read + 1);
}

/** Waits until another request of the session has come as far, or for a second. */
function rivalOf(id: string): Promise<void> {
  const rival = waiting.get(id);
  if (rival !== undefined) return Promise.resolve(rival());
  return new Promise((resolve) => {
    const go = (): void => {
      stop();
      waiting.delete(id);
      resolve();
    };
    const stop = after(MAX_WAIT_MS, go);
    waiting.set(id, go);
  });
}
