import { InterruptedError } from "./failures.ts";

/** What an interrupted command says besides. */
export const INTERRUPTED = "Interrupted: run it again to go on.";

/**
 * Does some work that stops in good order at the first Ctrl-C; the second ends the process.
 *
 * @returns whether it was stopped
 */
export async function interruptible(work: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new InterruptedError());
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    await work(controller.signal);
    return false;
  } catch (error) {
    if (error instanceof InterruptedError) return true;
    throw error;
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
