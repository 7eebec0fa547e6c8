import { monotonicNow } from "../../core/time.ts";
import { tooLate } from "./deadline.ts";
import type { Errand, Load, Row } from "./driver.ts";

/**
 * Statements wait here and not in the client: nothing can be taken back from there, neither a statement whose caller has
 * been told that it failed, nor the memory that it takes. A client gets a statement when it has a place for it.
 */

/** A statement that waits for a place. */
interface Waiting<Place> {
  /** When it is given up, by the monotonic clock. */
  end: number;
  /** Sends it. Returns false when it has got too old for that. */
  use(place: Place): boolean;
  fail(error: unknown): void;
}

/** Statements that wait for a place, the oldest first. */
export class WaitingLine<Place> {
  readonly #waiting = new Set<Waiting<Place>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires, by the monotonic clock. */
  #alarm = Number.POSITIVE_INFINITY;

  get length(): number {
    return this.#waiting.size;
  }

  /** @param timeout - milliseconds after which it fails, and nothing of it is kept */
  add(timeout: number, use: (place: Place) => boolean, fail: (error: unknown) => void): void {
    const waiting = {
      end: monotonicNow() + timeout,
      use,
      fail: (error?: unknown) => fail(error ?? tooLate(timeout)),
    };
    this.#waiting.add(waiting);
    if (waiting.end < this.#alarm) this.#arm(waiting.end);
  }

  /** Gives a place to the first whose time is not over. Returns false when there is none. */
  serve(place: Place): boolean {
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting);
      if (waiting.use(place)) return true;
      waiting.fail(undefined);
    }
    return false;
  }

  /** Fails the first. */
  fail(error: unknown): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    this.#waiting.delete(first);
    first.fail(error);
  }

  #arm(alarm: number): void {
    clearTimeout(this.#timer);
    this.#alarm = alarm;
    if (alarm === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#expire(), alarm - monotonicNow());
    this.#timer.unref?.();
  }

  #expire(): void {
    const now = monotonicNow();
    let next = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting) {
      if (waiting.end > now) next = Math.min(next, waiting.end);
      else {
        this.#waiting.delete(waiting);
        waiting.fail(undefined);
      }
    }
    this.#arm(next);
  }
}

/** When a statement that a client has taken and not answered is overdue. */
interface Held {
  end: number;
}

/** The places of a client that takes any number of statements, and answers each some time. */
export class Places {
  readonly #line = new WaitingLine<void>();
  readonly #held = new Set<Held>();
  readonly #isFree: (held: ReadonlySet<Held>) => boolean;

  /** @param isFree - whether the client may get another statement beside those that it has */
  private constructor(isFree: (held: ReadonlySet<Held>) => boolean) {
    this.#isFree = isFree;
  }

  /** For a client with a single connection. */
  static one(): Places {
    return new Places((held) => held.size === 0);
  }

  /** For a client of which nothing is known: until that many statements are overdue. */
  static untilOverdue(most: number): Places {
    return new Places((held) => {
      if (held.size < most) return true;
      const now = monotonicNow();
      let overdue = 0;
      for (const { end } of held) if (end <= now && ++overdue === most) return false;
      return true;
    });
  }

  /** @param send - hands a statement to the client */
  run(errand: Errand, timeout: number, send: (load: Load) => Promise<Row[]>): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      const use = (): boolean => {
        const load = errand.load();
        if (load === undefined) return false;
        const held = { end: monotonicNow() + timeout };
        this.#held.add(held);
        const back = (): void => {
          this.#held.delete(held);
          this.#serve();
        };
        const answer = send(load);
        answer.then(resolve, reject);
        answer.then(back, back);
        return true;
      };
      this.#line.add(timeout, use, reject);
      this.#serve();
    });
  }

  #serve(): void {
    while (this.#line.length > 0 && this.#isFree(this.#held)) this.#line.serve();
  }
}

/** What is kept for each client, however many stores use it. */
export function perClient<T>(make: () => T): (client: object) => T {
  const known = new WeakMap<object, T>();
  return (client) => {
    const kept = known.get(client) ?? make();
    known.set(client, kept);
    return kept;
  };
}

/** The parameters of a load, each looked at when the client sends it: what has got too old by then is left out. */
export function lookedAtLate(errand: Errand, load: Load, timeout: number): (() => unknown)[] {
  let current = load;
  return load.values.map((_, index) => () => {
    // Once, as they belong together; clients go through them in order.
    if (index === 0 && monotonicNow() >= current.until) {
      const later = errand.load();
      if (later === undefined) throw tooLate(timeout);
      current = later;
    }
    return current.values[index];
  });
}
