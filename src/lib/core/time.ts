/** The process's own idea of the time, in milliseconds since 1970. It may be wrong; what expires goes by the store's. */
export function systemNow(): number {
  return Date.now();
}

/** Milliseconds of a clock that nobody sets. */
export function monotonicNow(): number {
  return performance.now();
}

/**
 * Follows another machine's clock: from what it last told and the time that has passed here since, measured by a clock
 * that nobody sets. So a process whose clock is wrong, or is set while it runs, still knows the database's time.
 */
export class RemoteClock {
  readonly #monotonic: () => number;
  readonly #maxAge: number;
  #offset: number | undefined;
  #observedAt = 0;

  /** @param maxAge - milliseconds after which what was told is too old to rely on; drift of clocks is some 50 ppm */
  constructor(maxAge: number, monotonic: () => number = monotonicNow) {
    this.#maxAge = maxAge;
    this.#monotonic = monotonic;
  }

  /** Takes note of the time that the other machine just told, in milliseconds since 1970. */
  observe(told: number): void {
    this.#observedAt = this.#monotonic();
    this.#offset = told - this.#observedAt;
  }

  /** The other machine's time in milliseconds since 1970; undefined when it was not told lately. */
  read(): number | undefined {
    const now = this.#monotonic();
    if (this.#offset === undefined || now - this.#observedAt > this.#maxAge) return undefined;
    return now + this.#offset;
  }
}

/** The longest delay that a JavaScript timer takes, in milliseconds; a longer one would fire at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

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
    const delay = Math.min(left, MAX_DELAY_MS);
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
