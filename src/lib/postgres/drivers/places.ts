import { type Driver, type Errand, type Load, type Row, tooLate } from "./driver.ts";

/**
 * Statements wait here until the client has a place for them. A failed statement that waits in the client can't be
 * taken back, and keeps its memory.
 */

/** A statement with a time limit. */
interface Limited {
  /** Moment at which it fails, by the monotonic clock in milliseconds. */
  readonly end: number;
  /** Called when its time is over. */
  expire(): void;
}

/**
 * The time limits of the statements of a client, with one timer for all of them. A timer for each statement would cause
 * more than half of the garbage collection: long-lived timers keep others in memory until a full collection.
 */
export class Deadlines {
  readonly #open: Limited[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Moment at which the timer fires, by the monotonic clock in milliseconds. */
  #alarm = Number.POSITIVE_INFINITY;

  /** Begins to watch a statement. */
  add(limited: Limited): void {
    this.#open.push(limited);
    if (limited.end < this.#alarm) this.#arm(limited.end);
    else if (this.#open.length === 1) this.#timer?.ref?.();
  }

  /** Forgets a statement. Without open statements, the timer doesn't keep the process alive. */
  remove(limited: Limited): void {
    const index = this.#open.indexOf(limited);
    if (index >= 0) this.#open.splice(index, 1);
    if (this.#open.length === 0) this.#timer?.unref?.();
  }

  /** Waits for an answer up to a time limit in milliseconds. A later answer is ignored. */
  limit<T>(answer: Promise<T>, timeout: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const limited = { end: performance.now() + timeout, expire: () => reject(tooLate(timeout)) };
      const forget = (): void => this.remove(limited);
      this.add(limited);
      answer.then(resolve, reject);
      answer.then(forget, forget);
    });
  }

  #arm(alarm: number): void {
    clearTimeout(this.#timer);
    this.#alarm = alarm;
    this.#timer = setTimeout(this.#ring, Math.ceil(alarm - performance.now()));
  }

  readonly #ring = (): void => {
    const now = performance.now();
    const overdue = this.#open.filter(({ end }) => end <= now);
    this.#timer = undefined;
    this.#alarm = Number.POSITIVE_INFINITY;
    for (const limited of overdue) this.remove(limited);
    const next = this.#open.reduce((earliest, { end }) => Math.min(earliest, end), Number.POSITIVE_INFINITY);
    if (next < this.#alarm) this.#arm(next);
    for (const limited of overdue) limited.expire();
  };
}

/** A statement that waits for a place. */
interface Waiting<Place> extends Limited {
  /** Sends it. Returns false when it is too old to be sent. */
  use(place: Place): boolean;
  fail(error: unknown): void;
}

/** A queue of statements that wait for a place, oldest first. */
export class WaitingLine<Place> {
  // No Set: its outgrown tables keep removed entries in memory until a full garbage collection.
  readonly #waiting: Waiting<Place>[] = [];
  readonly #deadlines: Deadlines;

  /** Creates an empty line. @param deadlines - watch the waiting statements */
  constructor(deadlines = new Deadlines()) {
    this.#deadlines = deadlines;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Adds a statement. @param timeout - milliseconds after which it fails and is forgotten */
  add(timeout: number, use: (place: Place) => boolean, fail: (error: unknown) => void): void {
    const waiting: Waiting<Place> = {
      end: performance.now() + timeout,
      use,
      fail: (error) => fail(error ?? tooLate(timeout)),
      expire: () => {
        const index = this.#waiting.indexOf(waiting);
        // A statement that expired at the same moment may have freed a place for this one.
        if (index < 0) return;
        this.#waiting.splice(index, 1);
        waiting.fail(undefined);
      },
    };
    this.#waiting.push(waiting);
    this.#deadlines.add(waiting);
  }

  /** Gives a place to the first statement that can still be sent. Returns false when there is none. */
  serve(place: Place): boolean {
    for (let waiting = this.#shift(); waiting !== undefined; waiting = this.#shift()) {
      if (waiting.use(place)) return true;
      waiting.fail(undefined);
    }
    return false;
  }

  /** Fails the first statement. */
  fail(error: unknown): void {
    this.#shift()?.fail(error);
  }

  #shift(): Waiting<Place> | undefined {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) this.#deadlines.remove(waiting);
    return waiting;
  }
}

/** A statement that the client has taken and not answered, with the moment at which it is overdue. */
interface Held {
  end: number;
}

/** Overdue statements after which a client gets no more: the usual number of connections of a pool. */
const MAX_OVERDUE = 10;

/** Tells whether a client that holds these statements may get another. */
type Rule = (held: ReadonlySet<Held>) => boolean;

/** The rule for a client with `most` connections. */
export function upTo(most: number): Rule {
  return (held) => held.size < most;
}

/** The rule for a client that doesn't say how many connections it has: it gets statements until `most` are overdue. */
export function untilOverdue(most = MAX_OVERDUE): Rule {
  return (held) => {
    if (held.size < most) return true;
    const now = performance.now();
    let overdue = 0;
    for (const { end } of held) if (end <= now && ++overdue === most) return false;
    return true;
  };
}

/** Limits the statements that a client without a limit of its own gets at once. */
export class Places {
  readonly #deadlines = new Deadlines();
  readonly #line = new WaitingLine<void>(this.#deadlines);
  readonly #held = new Set<Held>();
  readonly #isFree: Rule;

  /** Creates the places of a client. */
  constructor(isFree: Rule) {
    this.#isFree = isFree;
  }

  /** Runs a statement when there is a place. @param send - hands the statement to the client */
  run(errand: Errand, timeout: number, send: (load: Load) => Promise<Row[]>): Promise<Row[]> {
    const answer = new Promise<Row[]>((resolve, reject) => {
      const use = (): boolean => {
        const load = errand.load();
        if (load === undefined) return false;
        const held = { end: performance.now() + timeout };
        this.#held.add(held);
        const back = (): void => {
          this.#held.delete(held);
          this.#serve();
        };
        const sent = send(load);
        sent.then(resolve, reject);
        sent.then(back, back);
        return true;
      };
      this.#line.add(timeout, use, reject);
      this.#serve();
    });
    return this.#deadlines.limit(answer, timeout);
  }

  #serve(): void {
    while (this.#line.length > 0 && this.#isFree(this.#held)) this.#line.serve();
  }
}

const placesOf = new WeakMap<object, Places>();

/**
 * Makes the driver of a client whose statements wait for a place here.
 *
 * @param isFree - the rule for the places of the client, which all its stores share
 * @param send - hands a statement to the client
 */
export function placedDriver(
  client: object,
  isFree: Rule,
  send: (errand: Errand, load: Load, timeout: number) => Promise<Row[]>,
): Driver {
  const places = placesOf.get(client) ?? new Places(isFree);
  placesOf.set(client, places);
  return {
    prepares: false,
    run: (errand, timeout) => places.run(errand, timeout, (load) => send(errand, load, timeout)),
  };
}

/** Returns parameters that are read when the client sends them, without operations that are too old by then. */
export function lookedAtLate(errand: Errand, load: Load, timeout: number): (() => unknown)[] {
  let current = load;
  return load.values.map((_, index) => () => {
    // Checked at the first parameter only: all must come from one load, and clients read them in order.
    if (index === 0 && performance.now() >= current.until) {
      const later = errand.load();
      if (later === undefined) throw tooLate(timeout);
      current = later;
    }
    return current.values[index];
  });
}
