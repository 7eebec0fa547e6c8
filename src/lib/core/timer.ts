/** The longest delay that a JavaScript timer takes, in milliseconds; a longer one would fire at once. */
export const LONGEST_DELAY = 2 ** 31 - 1;

/** Resolves after so many milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Waits for some work, but no longer than so many milliseconds; what is left of it goes on.
 *
 * @throws what the work throws in that time
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
 * Calls `action` once, after so many milliseconds, which may exceed 2^31. The timer never keeps the process alive.
 *
 * @returns stops it; idempotent
 */
export function after(milliseconds: number, action: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = (left: number): void => {
    const delay = Math.min(left, LONGEST_DELAY);
    timer = setTimeout(() => (left > delay ? wait(left - delay) : action()), delay);
    timer.unref?.();
  };
  wait(milliseconds);
  return () => clearTimeout(timer);
}

/**
 * Calls `action` again and again, `interval` milliseconds after its last call ended, give or take a tenth (so that the
 * processes of a fleet spread). Calls never overlap, and the timer never keeps the process alive.
 *
 * @param interval - milliseconds, may exceed 2^31
 * @returns stops it; idempotent
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
