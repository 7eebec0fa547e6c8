/** Returns the process's time in milliseconds since 1970. It may be wrong, so expiry goes by the store's time. */
export function systemNow(): number {
  return Date.now();
}

/** The longest delay of a JavaScript timer, in milliseconds. A longer one would fire at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** Resolves after a number of milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Waits for work, but no longer than a number of milliseconds. The work itself continues. Its failure after that time is ignored.
 *
 * @throws the error of the work, if it fails in that time
 */
export async function atMost(work: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
  try {
    await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Calls `action` once, after a number of milliseconds that may exceed 2^31. The timer never keeps the process alive.
 *
 * @returns a function that stops the timer, which may be called twice
 */
export function after(milliseconds: number, action: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = (left: number): void => {
    const delay = Math.min(left, MAX_DELAY_MS);
    timer = setTimeout(() => (left > delay ? wait(left - delay) : action()), delay);
    timer.unref?.();
  };
  wait(milliseconds);
  return () => clearTimeout(timer);
}

/**
 * Calls `action` repeatedly, `interval` milliseconds after the last call has ended, plus or minus a random tenth, so that the processes of a
 * fleet don't run in step. Calls never overlap, and the timer never keeps the process alive.
 *
 * @param interval - milliseconds, may exceed 2^31
 * @returns a function that stops the timer, which may be called twice
 */
export function repeat(interval: number, action: () => Promise<void>, random: () => number = Math.random): () => void {
  let stop = (): void => {};
  let stopped = false;
  const wait = (): void => {
    if (!stopped) stop = after(interval * (0.9 + random() * 0.2), run);
  };
  const run = (): void => void action().then(wait, wait);
  wait();
  return () => {
    stopped = true;
    stop();
  };
}
