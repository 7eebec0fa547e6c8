import { RemoteClock } from "../../core/time.ts";

/** Milliseconds after which the database is asked for its time again; clocks drift some 50 ppm, 15 ms in that time. */
const MAX_AGE = 5 * 60 * 1000;

/** The database's time: as it was last told along with something else, or asked for. */
export class DatabaseClock {
  readonly #clock = new RemoteClock(MAX_AGE);
  readonly #ask: () => Promise<number>;
  #asking: Promise<number> | undefined;

  /** @param ask - resolves to the database's time, in milliseconds since 1970 */
  constructor(ask: () => Promise<number>) {
    this.#ask = ask;
  }

  /** Takes note of the time that the database just told, in milliseconds since 1970. */
  observe(told: number): void {
    this.#clock.observe(told);
  }

  /** Milliseconds since 1970. Who asks while the database is being asked gets the same answer. */
  now(): number | Promise<number> {
    return this.#clock.read() ?? (this.#asking ??= this.#askOnce());
  }

  async #askOnce(): Promise<number> {
    try {
      const told = await this.#ask();
      this.observe(told);
      return told;
    } finally {
      this.#asking = undefined;
    }
  }
}
