import { StoreUnavailableError } from "../../core/errors.ts";

/**
 * Waits for an answer, but not for ever.
 *
 * @param timeout - milliseconds
 * @throws StoreUnavailableError when there is none by then; what comes later is ignored
 */
export function withTimeout<T>(answer: Promise<T>, timeout: number): Promise<T> {
  return new Promise((resolve, reject) => {
    // Not unref'd, which costs more than the timer: it is gone with the answer.
    const timer = setTimeout(() => reject(tooLate(timeout)), timeout);
    answer.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/** Share of its time that an operation must have left to be sent: its caller would hear of a failure while it is carried out. */
const MIN_SHARE_LEFT = 0.02;

/**
 * Until when an operation may be sent.
 *
 * @param since - when it began, by the monotonic clock
 * @param timeout - milliseconds that it has
 */
export function lastDeparture(since: number, timeout: number): number {
  return since + timeout * (1 - MIN_SHARE_LEFT);
}

/** @param timeout - milliseconds */
export function tooLate(timeout: number): StoreUnavailableError {
  return new StoreUnavailableError(`the database did not answer within ${timeout} ms`);
}
