import { monotonicNow } from "../base/clock.ts";
import { StoreOverloadedError } from "../base/errors.ts";
import { codeOf, isWatched, publish } from "../base/events.ts";
import { type BatchLimits, Failed, type RunBatch } from "./batch.ts";
import { reportBatch, reporter } from "./batch-report.ts";
import { tooLate } from "./deadline.ts";
import { type Entry, Queue } from "./queue.ts";

/** Operations for which a further statement pays, while one is under way. Fewer wait for it. */
const ENOUGH = 16;
/** Milliseconds after which an operation no longer waits for the statements before it, one held up by a lock, say. */
const PATIENCE = 100;
/** Share of its time that an operation must have left to be sent: its caller would hear of a failure while it is carried out. */
const WORTHWHILE = 0.02;
/** Bytes in one statement, give or take an operation. */
const MOST_BYTES = 1 << 20;

/**
 * Gathers operations of one kind while a statement of that kind is under way, and sends what has gathered together.
 *
 * When nothing is under way an operation leaves in the call itself; those that are submitted when the answers of a batch
 * arrive leave together, in the same turn of the event loop. Of two operations with the same key the later one leaves when
 * the earlier is done, so a batch never holds a key twice, and their order is kept.
 */
export class Batcher<In, Out> {
  readonly #limits: BatchLimits;
  readonly #timeout: number;
  readonly #run: RunBatch<In, Out>;
  readonly #operation: string;
  readonly #queue = new Queue<In, Out>();
  #statements = 0;
  /** A dispatch is about to come. */
  #soon = false;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #whenIdle: (() => void)[] = [];

  /**
   * @param timeout - milliseconds from `submit` after which an operation fails
   * @param operation - what events call it
   */
  constructor(limits: BatchLimits, timeout: number, run: RunBatch<In, Out>, operation: string) {
    this.#limits = limits;
    this.#timeout = timeout;
    this.#run = run;
    this.#operation = operation;
  }

  /**
   * Carries out an operation, together with others.
   *
   * @param key - two with the same key don't overlap; undefined: they may
   * @param weight - bytes that the statement grows by
   * @param signal - rejects with its reason when it aborts. What has not left by then never does; what has left may still
   *   be carried out, and doesn't disturb its neighbours
   * @throws StoreOverloadedError when too many wait already; StoreUnavailableError when it is not done in time
   */
  submit(key: string | undefined, input: In, weight: number, signal?: AbortSignal): Promise<Out> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const { waiting } = this.#queue;
    if (waiting >= this.#limits.waiting) return Promise.reject(this.#failed(new StoreOverloadedError(waiting)));
    return new Promise<Out>((resolve, reject) => {
      const report = isWatched("batch") ? reporter() : undefined;
      const since = monotonicNow();
      const entry: Entry<In, Out> = { key, input, weight, since, state: "queued", report, resolve, reject };
      if (signal !== undefined) this.#watch(entry, signal);
      if (this.#deadline === undefined) this.#deadline = arm(this.#timeout, this.#expire);
      if (this.#queue.add(entry) && !this.#soon) this.#dispatch();
    });
  }

  /** Resolves when nothing is under way any more. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  get #isIdle(): boolean {
    return this.#queue.size === 0 && this.#statements === 0;
  }

  #watch(entry: Entry<In, Out>, signal: AbortSignal): void {
    const { resolve, reject } = entry;
    const abort = (): void => this.#queue.fail(entry, signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    entry.resolve = (output) => {
      signal.removeEventListener("abort", abort);
      resolve(output);
    };
    entry.reject = (error) => {
      signal.removeEventListener("abort", abort);
      reject(error);
    };
  }

  #dispatch(impatient = false): void {
    const queue = this.#queue;
    queue.failOlder(this.#timeout * (1 - WORTHWHILE), false, this.#tooLate);
    // Half of what is open, so that the client reads one answer while the database works on another.
    const parts = Math.min(2, this.#limits.statements);
    const share = Math.min(Math.max(ENOUGH, Math.ceil(queue.size / parts)), this.#limits.rows);
    while (queue.ready > 0 && this.#statements < this.#limits.statements) {
      if (this.#statements > 0 && queue.ready < share && !impatient) {
        this.#patience ??= arm(PATIENCE, this.#hurry);
        return;
      }
      void this.#send(queue.take(share, MOST_BYTES));
    }
    this.#settled();
  }

  async #send(batch: Entry<In, Out>[]): Promise<void> {
    this.#statements++;
    const inputs = batch.map(({ input }) => input);
    // The youngest decides: the older ones fail by themselves when their time is over.
    const youngest = batch.reduce((latest, { since }) => Math.max(latest, since), 0);
    const sentAt = monotonicNow();
    const outputs = await this.#attempt(inputs, youngest + this.#timeout - sentAt);
    this.#statements--;
    if (isWatched("batch")) reportBatch(this.#operation, batch, outputs, sentAt);
    for (const [index, entry] of batch.entries()) {
      const output = outputs instanceof Failed ? outputs : (outputs[index] as Out | Failed);
      if (!this.#queue.done(entry)) continue;
      if (output instanceof Failed) entry.reject(this.#failed(output.error));
      else entry.resolve(output);
    }
    if (batch.length > 1) this.#dispatchSoon();
    else this.#dispatch();
    this.#settled();
  }

  async #attempt(inputs: In[], left: number): Promise<(Out | Failed)[] | Failed> {
    try {
      return await this.#run(inputs, left);
    } catch (error) {
      // An answer that makes no sense, say: it must not hold up those that come later.
      return new Failed(error);
    }
  }

  /** Gives those who hear of their answers now the chance to leave together, still in this turn of the event loop. */
  #dispatchSoon(): void {
    if (this.#soon) return;
    this.#soon = true;
    process.nextTick(() => {
      this.#soon = false;
      this.#dispatch();
    });
  }

  #settled(): void {
    if (!this.#isIdle) return;
    clearTimeout(this.#patience);
    this.#patience = undefined;
    for (const tell of this.#whenIdle.splice(0)) tell();
  }

  readonly #tooLate = (): Error => this.#failed(tooLate(this.#timeout));

  /** Tells the observers of an operation that has failed. */
  #failed<E>(error: E): E {
    if (isWatched("store-error")) publish("store-error", { operation: this.#operation, code: codeOf(error) });
    return error;
  }

  /** Fails what has taken too long, and comes again when the next one could have. */
  readonly #expire = (): void => {
    const left = this.#queue.failOlder(this.#timeout, true, this.#tooLate);
    this.#deadline = left === undefined ? undefined : arm(left, this.#expire);
  };

  readonly #hurry = (): void => {
    this.#patience = undefined;
    const oldest = this.#queue.first;
    if (oldest !== undefined) this.#dispatch(monotonicNow() - oldest.since >= PATIENCE);
  };
}

function arm(milliseconds: number, action: () => void): ReturnType<typeof setTimeout> {
  const timer = setTimeout(action, milliseconds);
  timer.unref?.();
  return timer;
}
