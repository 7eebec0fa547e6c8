/** Returns the process's time in milliseconds since 1970. It may be wrong, so expiry goes by the store's time. */
export function systemNow(): number {
  return Date.now();
}

/** Returns the milliseconds of a monotonic clock. */
export function monotonicNow(): number {
  return performance.now();
}

/**
 * Follows another machine's clock: its last known time plus the time that has passed since, by a monotonic clock. A process with a wrong
 * clock thus still knows the database's time.
 *
 * Why: docs/decisions/002-time-is-the-databases.md
 */
export class RemoteClock {
  readonly #monotonic: () => number;
  readonly #maxAge: number;
  #offset: number | undefined;
  #observedAt = 0;

  /** Begins without a known time. @param maxAge - milliseconds for which an observed time is used. Clocks drift by some 50 ppm */
  constructor(maxAge: number, monotonic: () => number = monotonicNow) {
    this.#maxAge = maxAge;
    this.#monotonic = monotonic;
  }

  /** Records the other machine's current time, in milliseconds since 1970. */
  observe(told: number): void {
    this.#observedAt = this.#monotonic();
    this.#offset = told - this.#observedAt;
  }

  /** Returns the other machine's time in milliseconds since 1970. Undefined when it was not observed within `maxAge`. */
  read(): number | undefined {
    const now = this.#monotonic();
    if (this.#offset === undefined || now - this.#observedAt > this.#maxAge) return undefined;
    return now + this.#offset;
  }
}

/** The longest delay of a JavaScript timer, in milliseconds. A longer one would fire at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** Resolves after a number of milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Waits for some work, but no longer than a number of milliseconds. The work itself continues.
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
