import { StoreUnavailableError } from "../base/errors.ts";

/**
 * Waits for an answer, but not for ever.
 *
 * @param timeout - milliseconds
 * @throws StoreUnavailableError when there is none by then; what comes later is ignored
 */
export async function withTimeout<T>(answer: Promise<T>, timeout: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new StoreUnavailableError(`the database did not answer within ${timeout} ms`)),
      timeout,
    );
    timer.unref?.();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => {});
  }
}
