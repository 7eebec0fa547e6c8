import { monotonicNow } from "../base/clock.ts";
import { shown } from "../base/duration.ts";
import { codeOf, isWatched, publish } from "../base/events.ts";
import { pause } from "../base/timer.ts";
import { type Row, textOf } from "./driver.ts";
import type { Statement, Statements } from "./statements.ts";
import { arrayText } from "./wire.ts";

/** What `deleteExpired` takes. */
export interface CleanupOptions {
  /** Stops between two statements when it aborts; `deleteExpired` then rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** How many rows to remove at most. Default: all. */
  limit?: number | undefined;
  /** Called after each statement that removes rows. What it throws ends the cleanup. */
  onProgress?: ((progress: CleanupProgress) => void) | undefined;
}

/** How far a cleanup has come. */
export interface CleanupProgress {
  /** Rows removed so far. */
  removed: number;
}

/** Rows of the first page; what follows is as much as the database removes in good time. */
const FIRST_PAGE = 500;
const SMALLEST_PAGE = 10;
const LARGEST_PAGE = 2000;
/** Milliseconds that a statement should take: so long may a request wait for a row, or for the processor, at most. */
const SLOW = 50;

type Run = (statement: Statement, values: unknown[]) => Promise<Row[]>;

/**
 * Removes the rows that have expired, the oldest first: reads a page of their tokens, then removes those of them that have
 * not been extended since. Rests after each statement for as long as that took, so that half of a connection's time at
 * most goes into it.
 *
 * @returns how many it has removed
 * @throws TypeError when the limit is none
 */
export function deleteExpired(run: Run, sql: Statements, options: CleanupOptions = {}): Promise<number> {
  return isWatched("cleanup") ? watchedDelete(run, sql, options) : deletePages(run, sql, options);
}

async function watchedDelete(run: Run, sql: Statements, options: CleanupOptions): Promise<number> {
  const begun = monotonicNow();
  let removed = 0;
  const onProgress = (progress: CleanupProgress): void => {
    removed = progress.removed;
    options.onProgress?.(progress);
  };
  const tell = (failure: { code?: string }): void =>
    publish("cleanup", { removed, duration: monotonicNow() - begun, ...failure });
  try {
    await deletePages(run, sql, { ...options, onProgress });
  } catch (error) {
    tell({ code: codeOf(error) });
    throw error;
  }
  tell({});
  return removed;
}

async function deletePages(run: Run, sql: Statements, options: CleanupOptions): Promise<number> {
  const { signal, limit = Number.POSITIVE_INFINITY, onProgress } = options;
  if (limit !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(limit) && limit >= 1)) {
    throw new TypeError(`limit: expected a whole number from 1, got ${shown(limit)}`);
  }
  let size = FIRST_PAGE;
  let from = "-Infinity";
  let removed = 0;
  for (;;) {
    signal?.throwIfAborted();
    const wanted = Math.min(size, limit - removed);
    if (wanted === 0) return removed;
    const page = await run(sql.expired, [from, String(wanted)]);
    if (page.length === 0) return removed;
    const begun = monotonicNow();
    const tokens = page.map((row) => textOf(row, "token")).toSorted();
    const gone = await run(sql.deleteExpired, [arrayText(tokens)]);
    const took = monotonicNow() - begun;
    removed += gone.length;
    if (gone.length > 0) onProgress?.({ removed });
    if (page.length < wanted) return removed;
    const next = nextStart(from, textOf(page.at(-1), "expiry"), gone.length);
    // Rows of -infinity that the database keeps: what comes after them can't be reached.
    if (gone.length === 0 && next === from) return removed;
    from = next;
    if (took > SLOW) size = Math.max(SMALLEST_PAGE, size >> 1);
    else if (took < SLOW / 4) size = Math.min(LARGEST_PAGE, size * 2);
    await pause(Math.min(took, SLOW));
  }
}

/** Whole milliseconds, as that is what we can say exactly. A page of which nothing could be removed is not read again. */
function nextStart(from: string, last: string, gone: number): string {
  const next = Math.floor(Number(last));
  return gone === 0 && String(next) === from ? String(next + 1) : String(next);
}
