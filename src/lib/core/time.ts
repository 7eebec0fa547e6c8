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
