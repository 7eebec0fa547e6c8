import type { WhenGone } from "../session/request.ts";
import { StoreOverloadedError, StoreUnavailableError } from "../core/errors.ts";

/** Milliseconds for the wait and the work together, if the store has no timeout of its own. */
const DEFAULT_TIMEOUT_MS = 5000;
/** Maximum number of waiting tasks for one key. */
const MAX_WAITING = 1000;

/** Begins a waiting task. @param before - the result of the task before it */
type Begin<T> = (before: T | undefined) => void;

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
  #whenIdle: (() => void)[] = [];

  /** Begins empty. @param timeout - milliseconds for the wait and the work together */
  constructor(timeout = DEFAULT_TIMEOUT_MS) {
    this.#timeout = timeout;
  }

  /**
   * Runs a task after the earlier ones of its key.
   *
   * @param work - gets the result of the task before it, or undefined if there was none or it failed. After a wait it
   *   also gets a signal that aborts when the timeout is over
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
    return this.#doInTurn(key, work, queue, whenGone?.());
  }

  /** Resolves when no task runs or waits. */
  async idle(): Promise<void> {
    if (this.#waiting.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  async #doInTurn(
    key: string,
    work: (before: T | undefined, signal: AbortSignal) => Promise<T>,
    queue: Begin<T>[],
    whenGone: WhenGone | undefined,
  ): Promise<T> {
    const over = new AbortController();
    const { signal } = over;
    const abort = (reason: string): void => over.abort(new StoreUnavailableError(reason));
    let begin: Begin<T> = () => {};
    const turn = new Promise<T | undefined>((resolve, reject) => {
      begin = resolve;
      signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
    queue.push(begin);
    const leave = (reason: string): void => {
      queue.splice(queue.indexOf(begin), 1);
      abort(reason);
    };
    const timer = setTimeout(() => {
      if (queue.includes(begin)) leave(`earlier requests of this session took longer than ${this.#timeout} ms`);
      else abort(`earlier requests of this session left too little of ${this.#timeout} ms`);
    }, this.#timeout);
    const stop = whenGone?.(() => {
      if (queue.includes(begin)) leave("the client disconnected while it waited for earlier requests of its session");
    });
    try {
      return await this.#do(key, (before) => work(before, signal), await turn);
    } finally {
      clearTimeout(timer);
      stop?.();
    }
  }

  async #do(key: string, work: (before: T | undefined) => Promise<T>, before: T | undefined): Promise<T> {
    let left: T | undefined;
    try {
      return (left = await work(before));
    } finally {
      const next = this.#waiting.get(key)?.shift();
      if (next !== undefined) next(left);
      else if (this.#waiting.delete(key) && this.#waiting.size === 0)
        for (const tell of this.#whenIdle.splice(0)) tell();
    }
  }
}
