import { StoreUnavailableError } from "../../core/errors.ts";

/**
 * Waits for an answer up to a time limit. A later answer is ignored.
 *
 * @param timeout - milliseconds
 * @throws StoreUnavailableError when there is no answer by then
 */
export function withTimeout<T>(answer: Promise<T>, timeout: number): Promise<T> {
  return new Promise((resolve, reject) => {
    // Not unref'd: that costs more than the timer, which ends with the answer.
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

/** Share of its time that an operation needs to be sent. With less, it could be carried out after it was reported as failed. */
const MIN_SHARE_LEFT = 0.02;

/**
 * Returns the last moment at which an operation may be sent.
 *
 * @param since - its start by the monotonic clock, in milliseconds
 * @param timeout - its time limit in milliseconds
 */
export function lastDeparture(since: number, timeout: number): number {
  return since + timeout * (1 - MIN_SHARE_LEFT);
}

/** Creates the error of an operation that took too long. @param timeout - its time limit in milliseconds */
export function tooLate(timeout: number): StoreUnavailableError {
  return new StoreUnavailableError(`the database did not answer within ${timeout} ms`);
}
