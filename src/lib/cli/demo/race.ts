import { after } from "../../core/time.ts";

/** Milliseconds that a write waits for its rival. */
const MAX_WAIT_MS = 1000;

/** Functions that let a waiting write go on, by the id of its session. */
const waiting = new Map<string, () => void>();

/** Waits until another request of the session has come as far, or for a second. */
export function rivalOf(id: string): Promise<void> {
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
