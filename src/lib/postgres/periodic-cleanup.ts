import { repeat } from "../core/time.ts";

/** Cleans up again and again until it is stopped; its turns never overlap. */
export class PeriodicCleanup {
  readonly #stopping = new AbortController();
  readonly #stopTimer: () => void;
  #turn: Promise<void> | undefined;

  /**
   * @param interval - milliseconds from the end of a turn to the next, give or take a tenth; 0: never
   * @param clean - one turn; ends early when its signal aborts
   * @param onError - gets what a turn throws
   */
  constructor(interval: number, clean: (signal: AbortSignal) => Promise<unknown>, onError: (error: unknown) => void) {
    const { signal } = this.#stopping;
    const turn = async (): Promise<void> => {
      try {
        await clean(signal);
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
    };
    this.#stopTimer = interval === 0 ? () => {} : repeat(interval, () => (this.#turn = turn()));
  }

  /** No further turn begins; one under way ends after its present statement. Resolves when it has. Idempotent. */
  async stop(): Promise<void> {
    this.#stopTimer();
    this.#stopping.abort();
    await this.#turn?.catch(() => {});
  }
}
