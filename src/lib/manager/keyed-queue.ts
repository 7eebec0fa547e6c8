import type { WhenGone } from "../session/request-facts.ts";
import { StoreOverloadedError, StoreUnavailableError } from "../core/errors.ts";

/** Milliseconds that work waits for its turn, where the store doesn't say how long its operations may take. */
const DEFAULT_TIMEOUT = 5000;
/** Pieces of work that wait for one key. */
const MAX_WAITING = 1000;

type Begin<T> = (before: T | undefined) => void;

/** A turn in the queue of a key. */
interface Turn<T> {
  before: T | undefined;
  /** Aborts when the wait and the work together have taken the timeout. */
  signal: AbortSignal;
  /** Stops the timer. */
  done: () => void;
}

/**
 * Queues work by key: within this process one piece at a time for each key, in the order in which they came.
 *
 * It is no lock (other processes write too) and correctness doesn't rest on it; it spares the many requests of one
 * browser from conflicting with one another. Each piece hands the next what it left behind.
 *
 * One browser can't make its own queue endless: its length and the time in it are bounded, and a client that has gone leaves it.
 */
export class KeyedQueue<T> {
  readonly #timeout: number;
  /** What waits, by the key of what is at work. */
  readonly #waiting = new Map<string, Begin<T>[]>();

  /** @param timeout - milliseconds that work waits for its turn; what it takes then counts as well */
  constructor(timeout = DEFAULT_TIMEOUT) {
    this.#timeout = timeout;
  }

  /**
   * Does a piece of work when those before it are done.
   *
   * @param work - gets what the piece before it resolved to; undefined when it is the first, or that one failed. If it had to wait, it
   *   also gets a signal that aborts when the timeout is over
   * @param whenGone - asked when it has to wait
   * @throws StoreOverloadedError when 1,000 wait already; StoreUnavailableError when its turn does not come in time, or nobody waits
   *   for it any more. The work is not begun then
   */
  enter(
    key: string,
    work: (before: T | undefined, signal?: AbortSignal) => Promise<T>,
    whenGone?: () => WhenGone | undefined,
  ): Promise<T> {
    const queue = this.#waiting.get(key);
    if (queue === undefined) {
      this.#waiting.set(key, []);
      return this.#do(key, work, undefined);
    }
    if (queue.length >= MAX_WAITING) return Promise.reject(new StoreOverloadedError(queue.length));
    return this.#doInTurn(key, work, this.#turn(queue, whenGone?.()));
  }

  async #doInTurn(
    key: string,
    work: (before: T | undefined, signal?: AbortSignal) => Promise<T>,
    turn: Promise<Turn<T>>,
  ): Promise<T> {
    const { before, signal, done } = await turn;
    try {
      return await this.#do(key, (last) => work(last, signal), before);
    } finally {
      done();
    }
  }

  async #do(key: string, work: (before: T | undefined) => Promise<T>, before: T | undefined): Promise<T> {
    let left: T | undefined;
    try {
      return (left = await work(before));
    } finally {
      const next = this.#waiting.get(key)?.shift();
      if (next === undefined) this.#waiting.delete(key);
      else next(left);
    }
  }

  #turn(queue: Begin<T>[], whenGone: WhenGone | undefined): Promise<Turn<T>> {
    return new Promise((resolve, reject) => {
      let stop: (() => void) | undefined;
      const running = new AbortController();
      const done = (): void => clearTimeout(timer);
      const begin: Begin<T> = (before) => {
        stop?.();
        resolve({ before, signal: running.signal, done });
      };
      const leave = (reason: string): void => {
        done();
        stop?.();
        queue.splice(queue.indexOf(begin), 1);
        reject(new StoreUnavailableError(reason));
      };
      queue.push(begin);
      const timer = setTimeout(() => {
        if (queue.includes(begin)) leave(`earlier requests of this session were not done within ${this.#timeout} ms`);
        else
          running.abort(
            new StoreUnavailableError(`earlier requests of this session left too little of ${this.#timeout} ms`),
          );
      }, this.#timeout);
      stop = whenGone?.(() => leave("the client has gone while earlier requests of its session were under way"));
    });
  }
}
