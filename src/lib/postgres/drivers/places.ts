import { monotonicNow } from "../../core/time.ts";
import { tooLate } from "./deadline.ts";
import type { Errand, Load, Row } from "./driver.ts";

/**
 * Statements wait here until the client has a place for them. One that waits in the client can't be taken back when it has
 * failed, and keeps its memory.
 */

/** A statement that waits for a place. */
interface Waiting<Place> {
  /** Moment at which it fails, by the monotonic clock in milliseconds. */
  end: number;
  /** Sends it. Returns false when it is too old to be sent. */
  use(place: Place): boolean;
  fail(error: unknown): void;
}

/** A queue of statements that wait for a place, oldest first. */
export class WaitingLine<Place> {
  readonly #waiting = new Set<Waiting<Place>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Moment at which the timer fires, by the monotonic clock in milliseconds. */
  #alarm = Number.POSITIVE_INFINITY;

  get length(): number {
    return this.#waiting.size;
  }

  /** Adds a statement. @param timeout - milliseconds after which it fails and is forgotten */
  add(timeout: number, use: (place: Place) => boolean, fail: (error: unknown) => void): void {
    const waiting = {
      end: monotonicNow() + timeout,
      use,
      fail: (error?: unknown) => fail(error ?? tooLate(timeout)),
    };
    this.#waiting.add(waiting);
    if (waiting.end < this.#alarm) this.#arm(waiting.end);
  }

  /** Gives a place to the first statement that can still be sent. Returns false when there is none. */
  serve(place: Place): boolean {
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting);
      if (waiting.use(place)) return true;
      waiting.fail(undefined);
    }
    return false;
  }

  /** Fails the first statement. */
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

/** A statement that the client has taken and not answered, with the moment at which it is overdue. */
interface Held {
  end: number;
}

/** Limits the statements that a client without a limit of its own gets at once. */
export class Places {
  readonly #line = new WaitingLine<void>();
  readonly #held = new Set<Held>();
  readonly #isFree: (held: ReadonlySet<Held>) => boolean;

  /** Creates the places of a client. @param isFree - says whether the client may get another statement */
  private constructor(isFree: (held: ReadonlySet<Held>) => boolean) {
    this.#isFree = isFree;
  }

  /** Creates the place of a client with a single connection. */
  static one(): Places {
    return new Places((held) => held.size === 0);
  }

  /** Creates the places of a client with so many connections. */
  static upTo(most: number): Places {
    return new Places((held) => held.size < most);
  }

  /** Creates places for an unknown client, which gets statements until `most` are overdue. */
  static untilOverdue(most: number): Places {
    return new Places((held) => {
      if (held.size < most) return true;
      const now = monotonicNow();
      let overdue = 0;
      for (const { end } of held) if (end <= now && ++overdue === most) return false;
      return true;
    });
  }

  /** Runs a statement when there is a place. @param send - hands the statement to the client */
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

/** Makes a function that keeps one object per client, shared by all its stores. */
export function perClient<T>(make: (client: object) => T): (client: object) => T {
  const known = new WeakMap<object, T>();
  return (client) => {
    const kept = known.get(client) ?? make(client);
    known.set(client, kept);
    return kept;
  };
}

/** Returns parameters that are read when the client sends them, without operations that are too old by then. */
export function lookedAtLate(errand: Errand, load: Load, timeout: number): (() => unknown)[] {
  let current = load;
  return load.values.map((_, index) => () => {
    // Checked at the first parameter only: all must come from one load, and clients read them in order.
    if (index === 0 && monotonicNow() >= current.until) {
      const later = errand.load();
      if (later === undefined) throw tooLate(timeout);
      current = later;
    }
    return current.values[index];
  });
}
