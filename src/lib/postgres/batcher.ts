import { monotonicNow } from "../base/clock.ts";
import { type BatchLimits, Failed, type RunBatch } from "./batch.ts";
import { StoreOverloadedError, StoreUnavailableError } from "../base/errors.ts";

/** One operation on its way. */
interface Entry<In, Out> {
  key: string | undefined;
  input: In;
  weight: number;
  /** By the monotonic clock. */
  since: number;
  state: "queued" | "ready" | "sent";
  resolve(output: Out): void;
  reject(error: unknown): void;
}

/**
 * While a statement is under way, a further one leaves when this many operations have gathered: enough that sharing pays,
 * few enough that the client reads one answer while the database works on another. Measured at 16 to 256 in flight.
 */
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
 * When nothing is under way an operation leaves at once: in the call itself, or, if the last batch was shared, when the
 * event loop has taken in what has arrived with it. Of two operations with the same key the later
 * one leaves when the earlier is done, so a batch never holds a key twice, and their order is kept.
 */
export class Batcher<In, Out> {
  readonly #limits: BatchLimits;
  readonly #timeout: number;
  readonly #run: RunBatch<In, Out>;
  /** Every operation that is not settled, the oldest first. */
  readonly #open = new Set<Entry<In, Out>>();
  /** Those that may leave, in the order in which they came. */
  readonly #ready = new Set<Entry<In, Out>>();
  /** The keys of what is ready or sent, each with what is queued behind it. */
  readonly #lines = new Map<string, Entry<In, Out>[]>();
  #waiting = 0;
  #statements = 0;
  /** The last batch held more than one: there is company. */
  #shared = false;
  /** A dispatch is about to come. */
  #soon = false;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #whenIdle: (() => void)[] = [];

  /** @param timeout - milliseconds from `submit` after which an operation fails */
  constructor(limits: BatchLimits, timeout: number, run: RunBatch<In, Out>) {
    this.#limits = limits;
    this.#timeout = timeout;
    this.#run = run;
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
    if (this.#waiting >= this.#limits.waiting) return Promise.reject(new StoreOverloadedError(this.#waiting));
    return new Promise<Out>((resolve, reject) => {
      const entry: Entry<In, Out> = { key, input, weight, since: monotonicNow(), state: "queued", resolve, reject };
      if (signal !== undefined) this.#watch(entry, signal);
      this.#open.add(entry);
      if (this.#deadline === undefined) this.#deadline = this.#arm(this.#timeout, this.#expire);
      this.#waiting++;
      const line = key === undefined ? undefined : this.#lines.get(key);
      if (line !== undefined) {
        line.push(entry);
        return;
      }
      if (key !== undefined) this.#lines.set(key, []);
      this.#makeReady(entry);
      if (this.#soon) return;
      if (this.#shared && this.#statements === 0) this.#dispatchWith(setImmediate);
      else this.#dispatch();
    });
  }

  /** Resolves when nothing is under way any more. */
  idle(): Promise<void> {
    if (this.#open.size === 0 && this.#statements === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #watch(entry: Entry<In, Out>, signal: AbortSignal): void {
    const { resolve, reject } = entry;
    const abort = (): void => this.#fail(entry, signal.reason);
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

  /** Settles an operation that nobody waits for any more, and takes it out of the queue if it is still there. */
  #fail(entry: Entry<In, Out>, error: unknown): void {
    if (!this.#open.delete(entry)) return;
    entry.reject(error);
    if (entry.state === "sent") return;
    this.#waiting--;
    if (this.#ready.delete(entry)) this.#next(entry.key);
    else {
      const line = this.#lines.get(entry.key ?? "") ?? [];
      line.splice(line.indexOf(entry), 1);
    }
    this.#settled();
  }

  #makeReady(entry: Entry<In, Out>): void {
    entry.state = "ready";
    this.#ready.add(entry);
  }

  /** The first operation of a key is out of the way: the next one may leave. */
  #next(key: string | undefined): void {
    if (key === undefined) return;
    const entry = this.#lines.get(key)?.shift();
    if (entry === undefined) this.#lines.delete(key);
    else this.#makeReady(entry);
  }

  #dispatch(impatient = false): void {
    this.#dropLate();
    const enough = Math.min(ENOUGH, this.#limits.rows);
    while (this.#ready.size > 0 && this.#statements < this.#limits.statements) {
      if (this.#statements > 0 && this.#ready.size < enough && !impatient) {
        this.#patience ??= this.#arm(PATIENCE, this.#hurry);
        return;
      }
      void this.#send(this.#take());
    }
  }

  #dropLate(): void {
    const latest = monotonicNow() - this.#timeout * (1 - WORTHWHILE);
    for (const entry of this.#ready) {
      if (entry.since > latest) return;
      this.#fail(entry, this.#tooLate());
    }
  }

  #tooLate(): StoreUnavailableError {
    return new StoreUnavailableError(`the database did not answer within ${this.#timeout} ms`);
  }

  #take(): Entry<In, Out>[] {
    const batch: Entry<In, Out>[] = [];
    let weight = 0;
    for (const entry of this.#ready) {
      weight += entry.weight;
      if (batch.length > 0 && (batch.length === this.#limits.rows || weight > MOST_BYTES)) break;
      entry.state = "sent";
      batch.push(entry);
    }
    for (const entry of batch) this.#ready.delete(entry);
    this.#waiting -= batch.length;
    return batch;
  }

  async #send(batch: Entry<In, Out>[]): Promise<void> {
    this.#statements++;
    this.#shared = batch.length > 1;
    const inputs = batch.map(({ input }) => input);
    // The youngest decides: the older ones fail by themselves when their time is over.
    const left = (batch.at(-1)?.since ?? 0) + this.#timeout - monotonicNow();
    const outputs = await this.#run(inputs, left);
    this.#statements--;
    for (const [index, entry] of batch.entries()) {
      const output = outputs[index] as Out | Failed;
      if (this.#open.delete(entry)) {
        if (output instanceof Failed) entry.reject(output.error);
        else entry.resolve(output);
      }
      this.#next(entry.key);
    }
    if (this.#shared) this.#dispatchWith(process.nextTick);
    else this.#dispatch();
    this.#settled();
  }

  /**
   * Gives what comes in this turn of the event loop the chance to leave together: by nextTick what those submit who hear of
   * their answers now, by setImmediate the requests that have arrived as well. Neither is a timer.
   */
  #dispatchWith(defer: (callback: () => void) => unknown): void {
    if (this.#soon) return;
    this.#soon = true;
    defer(() => {
      this.#soon = false;
      this.#dispatch();
    });
  }

  #settled(): void {
    if (this.#open.size > 0 || this.#statements > 0) return;
    clearTimeout(this.#patience);
    this.#patience = undefined;
    for (const tell of this.#whenIdle.splice(0)) tell();
  }

  #arm(milliseconds: number, action: () => void): ReturnType<typeof setTimeout> {
    const timer = setTimeout(action, milliseconds);
    timer.unref?.();
    return timer;
  }

  /** Fails what has taken too long, and comes again when the next one could have. */
  readonly #expire = (): void => {
    const now = monotonicNow();
    this.#deadline = undefined;
    for (const entry of this.#open) {
      const left = entry.since + this.#timeout - now;
      if (left > 0) {
        this.#deadline = this.#arm(left, this.#expire);
        break;
      }
      this.#fail(entry, this.#tooLate());
    }
    this.#dispatch();
  };

  readonly #hurry = (): void => {
    this.#patience = undefined;
    const [oldest] = this.#ready;
    if (oldest !== undefined) this.#dispatch(monotonicNow() - oldest.since >= PATIENCE);
  };
}
