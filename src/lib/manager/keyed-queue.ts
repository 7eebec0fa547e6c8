import type { WhenGone } from "../session/request-facts.ts";
import { StoreOverloadedError, StoreUnavailableError } from "../core/errors.ts";

/** Milliseconds for the wait and the work together, if the store has no timeout of its own. */
const DEFAULT_TIMEOUT_MS = 5000;
/** Maximum number of waiting tasks for one key. */
const MAX_WAITING = 1000;

type Begin<T> = (before: T | undefined) => void;

/** A task's turn in the queue of its key. */
interface Turn<T> {
  before: T | undefined;
  /** Aborts when the wait and the work together exceed the timeout. */
  signal: AbortSignal;
  /** Stops the timer. */
  done: () => void;
}

/**
 * Runs the tasks of each key one at a time, in order of arrival, within this process.
 *
 * It is not a lock: other processes write, too, and correctness rests on compare-and-swap. The queue spares the parallel requests of one
 * browser from conflicting with each other. Each task passes its result to the next.
 *
 * The queue of a key is limited in length and in time, and a task leaves it when its client disconnects.
 */
export class KeyedQueue<T> {
  readonly #timeout: number;
  /** The waiting tasks, by the key of the task that runs. */
  readonly #waiting = new Map<string, Begin<T>[]>();

  /** Begins empty. @param timeout - milliseconds for the wait and the work together */
  constructor(timeout = DEFAULT_TIMEOUT_MS) {
    this.#timeout = timeout;
  }

  /**
   * Runs a task after the earlier ones of its key.
   *
   * @param work - gets the result of the task before it, or undefined if it is the first or that one failed. After a wait it also gets a
   *   signal that aborts when the timeout is over
   * @param whenGone - called when the task has to wait
   * @throws StoreOverloadedError when 1,000 tasks are waiting; StoreUnavailableError when the turn does not come in time or the client
   *   disconnects. The task has not begun then
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
        if (queue.includes(begin)) leave(`earlier requests of this session took longer than ${this.#timeout} ms`);
        else
          running.abort(
            new StoreUnavailableError(`earlier requests of this session left too little of ${this.#timeout} ms`),
          );
      }, this.#timeout);
      stop = whenGone?.(() => leave("the client disconnected while it waited for earlier requests of its session"));
    });
  }
}
