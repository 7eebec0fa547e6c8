import { pause, repeat } from "../core/time.ts";
import { OptionReader } from "../core/options.ts";
import { codeOf, publish } from "../core/events.ts";
import { type Query, type Row, textOf } from "./drivers/driver.ts";
import { type PageBounds, Pager } from "./pager.ts";

/*
 * The cleanup removes expired rows in pages, the oldest first.
 *
 * 1. A page is one statement of bounded length. It begins where the last page ended, because the index still holds the
 *    rows removed before. It skips locked rows.
 * 2. After each page the cleanup pauses for as long as the page took, but at most 50 ms.
 * 3. In a fleet one process cleans up at a time. Each statement takes an advisory lock for as long as it runs.
 *
 * a turn of the periodic cleanup               turns in vain
 * removed rows, or found none that expired     0 (unchanged while it works without the lock)
 * removed none, the oldest row is the same     one more
 * removed none, the oldest row is another one  1: another process removes rows
 *
 * After HELD_UP_TURNS turns in vain the rows are locked, or another session keeps the lock. The cleanup then reports
 * this and works without the lock, which only saves work.
 *
 * Why: docs/decisions/010-tombstones.md, 029-very-many-sessions.md
 */

/** Options of `PgStore.deleteExpired`. */
export interface CleanupOptions {
  /** Stops the cleanup between two statements when it aborts. `deleteExpired` then rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** The maximum number of rows to remove. Default: all. */
  limit?: number | undefined;
  /** Called after each statement that removes rows. An error that it throws ends the cleanup. */
  onProgress?: ((progress: CleanupProgress) => void) | undefined;
}

/** Progress of a cleanup. */
export interface CleanupProgress {
  /** Rows removed so far. */
  removed: number;
}

/** Bounds of the pages. A request may wait for the rows that a page locks, or for the processor. */
const PAGES: PageBounds = { firstRows: 500, minRows: 10, maxRows: 2000, slowMs: 50 };

/** Turns in vain after which the cleanup counts as held up. */
const HELD_UP_TURNS = 3;

/** The result of a cleanup. */
interface Outcome {
  removed: number;
  /** Whether no other process was cleaning up. */
  leads: boolean;
  /** Expiry of the oldest expired row at the beginning, in milliseconds since 1970. Empty without such a row. */
  oldest: string;
  /** Whether there is a fence that this process has to finish. */
  isFenced: boolean;
}

/**
 * Cleans up periodically until it is stopped. Turns never overlap.
 *
 * @param interval - milliseconds from the end of a turn to the next, give or take a tenth. 0: never
 * @param clean - makes one turn. It ends early when its signal aborts
 * @param onError - gets the errors of turns
 * @returns a function that stops the timer. It resolves when a turn under way has ended, after its present statement. Idempotent
 */
export function cleanPeriodically(
  interval: number,
  clean: (signal: AbortSignal) => Promise<void>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  let turn: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    try {
      await clean(signal);
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
  };
  const stopTimer = interval === 0 ? () => {} : repeat(interval, () => (turn = run()));
  return async () => {
    stopTimer();
    stopping.abort();
    await turn?.catch(() => {});
  };
}

/** Notices when the periodic cleanup of a store is held up. */
export class CleanupTurns {
  /** The name of the lock, the same in each process. */
  readonly lock: string;
  readonly #onHeldUp: (isLockHeld: boolean) => void;
  #oldest = "";
  #inVain = 0;

  /** Begins to count. @param onHeldUp - called after each turn held up, with whether another session holds the lock */
  constructor(lock: string, onHeldUp: (isLockHeld: boolean) => void) {
    this.lock = lock;
    this.#onHeldUp = onHeldUp;
  }

  get isHeldUp(): boolean {
    return this.#inVain >= HELD_UP_TURNS;
  }

  /** Records the outcome of a turn. */
  end({ removed, leads, oldest }: Omit<Outcome, "isFenced">): void {
    if (removed > 0 || oldest === "") {
      // The cleanup works without the lock until the lock is free.
      if (leads || !this.isHeldUp) this.#inVain = 0;
    } else {
      this.#inVain = oldest === this.#oldest ? this.#inVain + 1 : 1;
    }
    this.#oldest = oldest;
    if (this.isHeldUp) this.#onHeldUp(!leads);
  }
}

/**
 * Removes the rows that have expired.
 *
 * @param turns - the turns of a periodic cleanup
 * @throws TypeError, naming the option, when one is wrong
 */
export async function deleteExpired(
  query: Query,
  statement: string,
  options: CleanupOptions = {},
  turns?: CleanupTurns,
): Promise<Outcome> {
  const read = new OptionReader(options);
  const signal = read.value("signal") as AbortSignal | undefined;
  const limit = read.whole("limit", Number.POSITIVE_INFINITY, true);
  const onProgress = read.callback<(progress: CleanupProgress) => void>("onProgress");
  read.end();
  const [lock, always] = turns === undefined ? ["", false] : [turns.lock, turns.isHeldUp];
  const begun = performance.now();
  const pager = new Pager(PAGES);
  let removed = 0;
  const tell = (more: { code?: string; heldUp?: true }): void =>
    publish("cleanup", { removed, duration: performance.now() - begun, ...more });
  try {
    let from = "-Infinity";
    let first: Row | undefined;
    for (;;) {
      signal?.throwIfAborted();
      const wanted = Math.min(pager.rows, limit - removed);
      const values = [from, String(wanted), lock, String(always)];
      const [page] = await pager.read(() => query(statement, values));
      first ??= page;
      const gone = Number(textOf(page, "gone"));
      removed += gone;
      if (gone > 0) onProgress?.({ removed });
      const next = nextStart(from, textOf(page, "last"), gone);
      // Rows of -infinity that the database keeps: later rows can't be reached.
      if (Number(textOf(page, "found")) < wanted || removed === limit || (gone === 0 && next === from)) break;
      from = next;
      await pause(Math.min(pager.tookMs, PAGES.slowMs));
    }
    const leads = first?.["leads"] === "true";
    const isFenced = first?.["fence"] != null && (leads || always);
    const outcome = { removed, leads, oldest: textOf(first, "oldest"), isFenced };
    turns?.end(outcome);
    const isHeldUp = turns?.isHeldUp === true;
    // Otherwise another process cleans up.
    if (leads || isHeldUp) tell(isHeldUp ? { heldUp: true } : {});
    return outcome;
  } catch (error) {
    tell({ code: codeOf(error) });
    throw error;
  }
}

/**
 * Returns the start of the next page, in whole milliseconds, which are exact. A page without removals is not repeated.
 */
function nextStart(from: string, last: string, gone: number): string {
  const next = Math.floor(Number(last));
  return gone === 0 && String(next) === from ? String(next + 1) : String(next);
}
