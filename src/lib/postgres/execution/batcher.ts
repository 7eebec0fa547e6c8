import { StoreOverloadedError } from "../../core/errors.ts";
import { CHANNELS, codeOf, publish } from "../../core/events.ts";
import { after } from "../../core/time.ts";
import { lastDeparture, tooLate } from "../drivers/driver.ts";
import {
  type BatchLimits,
  type BatchOutput,
  Company,
  type Entry,
  Failed,
  Large,
  MAX_BATCH_BYTES,
  type RunBatch,
} from "./batch.ts";
import { reportBatch, reporter } from "./batch-report.ts";

/*
 * Operations of one kind share statements, because a statement costs far more than a row.
 *
 * 1. An operation leaves in the call itself when no statement of its kind is under way and the last one carried a single row.
 *    After one of several rows it waits for the end of this turn of the event loop, in which other requests may arrive, if the
 *    driver allows that.
 * 2. While a statement is under way, another one leaves when at least MIN_FURTHER_ROWS operations wait, and half of all that are open,
 *    up to the limit of statements. An operation that has waited for MAX_GATHER_MS leaves without that.
 * 3. An answer settles the operations of its batch. New operations of their callers in the same turn of the event loop
 *    leave together.
 * 4. Of two operations with the same key the later one becomes ready when the earlier one is done. A batch never holds a key twice,
 *    and operations of a key keep their order.
 *
 * state of an entry   waits for                         then
 * queued              an earlier operation of its key   ready
 * ready               a statement                       sent
 * sent                the answer                        done, or ready again (in a smaller batch)
 *
 * A timeout or an abort fails an entry in any state. If it was sent, the database may still carry it out.
 *
 * Why: docs/decisions/007-batches.md, 019-nothing-is-sent-late.md, 020-one-refused-row.md
 */

/** Operations that justify another statement while one is under way. Fewer wait for it to end. */
const MIN_FURTHER_ROWS = 16;
/** Milliseconds that an operation waits for earlier statements, which a lock may hold up. */
const MAX_GATHER_MS = 100;

/** Gathers operations of one kind and sends them together. */
export class Batcher<In, Out> {
  readonly #limits: BatchLimits;
  readonly #timeout: number;
  /** Milliseconds from `submit` in which an operation may be sent. */
  readonly #patience: number;
  readonly #run: RunBatch<In, Out>;
  readonly #operation: string;
  readonly #queue = new Queue<In, Out>();
  /** Statements under way, and the operations of the last one. */
  #statements = 0;
  #lastRows = 0;
  /** Whether the end of this turn of the event loop brings a dispatch. */
  #soon = false;
  #deadline: (() => void) | undefined;
  #gathering: (() => void) | undefined;
  #whenIdle: (() => void)[] = [];

  /**
   * Begins without operations.
   *
   * @param timeout - milliseconds from `submit` after which an operation fails
   * @param operation - its name in events
   */
  constructor(limits: BatchLimits, timeout: number, run: RunBatch<In, Out>, operation: string) {
    this.#limits = limits;
    this.#timeout = timeout;
    this.#patience = lastDeparture(0, timeout);
    this.#run = run;
    this.#operation = operation;
  }

  /**
   * Carries out an operation, in a batch if possible.
   *
   * @param key - operations with the same key run one after the other
   * @param weight - bytes that it adds to the statement
   * @param signal - fails the operation with the signal's reason when it aborts. An operation that was not sent by then never is. One that
   *   was sent may still be carried out
   * @param company - the only group with which it may share a statement
   * @throws StoreOverloadedError when too many operations wait; StoreUnavailableError when it takes too long
   */
  submit(key: string | undefined, input: In, weight: number, signal?: AbortSignal, company?: Company): Promise<Out> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const { waiting } = this.#queue;
    if (waiting >= this.#limits.waiting) return Promise.reject(this.#failed(new StoreOverloadedError(waiting)));
    return new Promise<Out>((resolve, reject) => {
      const report = CHANNELS.batch.hasSubscribers ? reporter() : undefined;
      const since = performance.now();
      const until = since + this.#patience;
      const entry: Entry<In, Out> = {
        key,
        input,
        weight,
        since,
        until,
        company,
        state: "queued",
        report,
        resolve,
        reject,
        older: undefined,
        younger: undefined,
        next: undefined,
      };
      if (signal !== undefined) this.#watch(entry, signal);
      if (this.#deadline === undefined) this.#deadline = after(this.#timeout, this.#expire);
      if (!this.#queue.add(entry) || this.#soon) return;
      if (this.#lastRows > 1 && this.#limits.leavesAtOnce !== true) this.#dispatchSoon();
      else this.#dispatch();
    });
  }

  /** Resolves when no operation is under way. */
  idle(): Promise<void> {
    return this.#isIdle ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
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
    // Half of what is open, so that the client reads one answer while the database works on another.
    const parts = Math.min(2, this.#limits.statements);
    const share = Math.min(Math.max(MIN_FURTHER_ROWS, Math.ceil(queue.size / parts)), this.#limits.rows);
    while (queue.ready > 0 && this.#statements < this.#limits.statements) {
      if (this.#statements > 0 && queue.ready < share && !impatient) {
        this.#gathering ??= after(MAX_GATHER_MS, this.#hurry);
        return;
      }
      const batch = queue.take(share, MAX_BATCH_BYTES, this.#tooLate);
      if (batch.length > 0) this.#send(batch);
    }
    if (!this.#isIdle) return;
    this.#gathering?.();
    this.#gathering = undefined;
    for (const tell of this.#whenIdle.splice(0)) tell();
  }

  #send(batch: Entry<In, Out>[]): void {
    this.#statements++;
    this.#lastRows = batch.length;
    // The youngest decides: the older ones fail by themselves when their time is over.
    let youngest = 0;
    for (const { since } of batch) if (since > youngest) youngest = since;
    const sentAt = performance.now();
    const answered = (outputs: BatchOutput<Out>[]): void => {
      this.#statements--;
      if (CHANNELS.batch.hasSubscribers) reportBatch(this.#operation, batch, outputs, sentAt);
      this.#settle(batch, outputs);
    };
    // An answer that makes no sense, for instance, must not hold up later operations.
    this.#run(batch, youngest + this.#timeout - sentAt).then(answered, (error: unknown) =>
      answered(batch.map(() => new Failed(error))),
    );
  }

  /** Settles the operations of a batch, large answers in several turns of the event loop. */
  #settle(batch: Entry<In, Out>[], outputs: BatchOutput<Out>[], from = 0): void {
    let bytes = 0;
    for (let index = from; index < batch.length; index++) {
      const entry = batch[index] as Entry<In, Out>;
      const output = outputs[index] as BatchOutput<Out>;
      const size = output instanceof Large ? output.size : 0;
      if (bytes > 0 && bytes + size > MAX_BATCH_BYTES) {
        setImmediate(() => this.#settle(batch, outputs, index));
        return;
      }
      bytes += size;
      if (output instanceof Company) this.#queue.takeBack(entry, output);
      else if (!this.#queue.done(entry)) continue;
      else if (output instanceof Failed) entry.reject(this.#failed(output.error));
      else entry.resolve(output instanceof Large ? output.open() : output);
    }
    if (batch.length > 1) this.#dispatchSoon();
    else this.#dispatch();
  }

  /** Sends at the end of this turn of the event loop, together with everything that is submitted until then. */
  #dispatchSoon(): void {
    if (this.#soon) return;
    this.#soon = true;
    setImmediate(() => {
      this.#soon = false;
      this.#dispatch();
    });
  }

  readonly #tooLate = (): Error => this.#failed(tooLate(this.#timeout));

  /** Tells the observers of an operation that has failed. */
  #failed<E>(error: E): E {
    if (CHANNELS["store-error"].hasSubscribers)
      publish("store-error", { operation: this.#operation, code: codeOf(error) });
    return error;
  }

  /** Fails operations that have taken too long, and sets the timer for the next one. */
  readonly #expire = (): void => {
    const left = this.#queue.failOlder(this.#timeout, this.#tooLate);
    this.#deadline = left === undefined ? undefined : after(left, this.#expire);
  };

  readonly #hurry = (): void => {
    this.#gathering = undefined;
    const oldest = this.#queue.first;
    if (oldest !== undefined) this.#dispatch(performance.now() - oldest.since >= MAX_GATHER_MS);
  };
}

/** Operations with a key after which the map of keys is replaced by a copy. */
const MAX_KEYED = 1024;
/** Failed operations that may stay in the line, in addition to as many as are ready. */
const MAX_LEFTOVERS = 64;

/**
 * The unsettled operations of a kind. Two with the same key run one after the other: they never share a statement or overtake
 * each other.
 *
 * Each operation is one object, which is linked to its neighbours by age and to the next one with its key.
 */
class Queue<In, Out> {
  #oldest: Entry<In, Out> | undefined;
  #youngest: Entry<In, Out> | undefined;
  /** Number of unsettled operations. */
  size = 0;
  /** Number of operations not sent yet. */
  waiting = 0;
  /** Number of ready operations. */
  ready = 0;
  /** Operations that may be sent, in the order in which they became ready, and some that have failed since. */
  #line: Entry<In, Out>[] = [];
  /** The last unsettled operation of each key. */
  #last = new Map<string, Entry<In, Out>>();
  /** Operations with a key that were added to this map. */
  #keyed = 0;

  /** The operation that has been ready for the longest time. */
  get first(): Entry<In, Out> | undefined {
    return this.#line.find(isReady);
  }

  /** Adds an operation. Returns whether it is ready. */
  add(entry: Entry<In, Out>): boolean {
    const { key } = entry;
    entry.older = this.#youngest;
    if (this.#youngest === undefined) this.#oldest = entry;
    else this.#youngest.younger = entry;
    this.#youngest = entry;
    this.size++;
    this.waiting++;
    if (this.#line.length > 2 * this.ready + MAX_LEFTOVERS) this.#line = this.#line.filter(isReady);
    if (key !== undefined) {
      // A long-lived Map keeps removed entries alive in its outgrown tables until a full garbage collection.
      if (++this.#keyed % MAX_KEYED === 0) this.#last = new Map(this.#last);
      const last = this.#last.get(key);
      this.#last.set(key, entry);
      if (last !== undefined) {
        last.next = entry;
        return false;
      }
    }
    this.#makeReady(entry);
    return true;
  }

  /**
   * Takes ready operations of one company, oldest first, up to `most` operations and the weight `heaviest`, and at least one if
   * there is any. Operations that are too old to be sent fail.
   */
  take(most: number, heaviest: number, tooLate: () => Error): Entry<In, Out>[] {
    const now = performance.now();
    const batch: Entry<In, Out>[] = [];
    const line = this.#line;
    let weight = 0;
    let kept = 0;
    let index = 0;
    for (; index < line.length; index++) {
      const entry = line[index] as Entry<In, Out>;
      if (entry.state !== "ready") continue;
      if (entry.until <= now) {
        this.fail(entry, tooLate());
        continue;
      }
      if (batch.length > 0 && entry.company !== batch[0]?.company) {
        line[kept++] = entry;
        continue;
      }
      weight += entry.weight;
      if (batch.length > 0 && (batch.length === most || weight > heaviest)) break;
      entry.state = "sent";
      batch.push(entry);
    }
    line.copyWithin(kept, index);
    line.length -= index - kept;
    this.ready -= batch.length;
    this.waiting -= batch.length;
    return batch;
  }

  /** Makes a sent operation ready again, behind the ready ones. */
  takeBack(entry: Entry<In, Out>, company: Company): void {
    if (entry.state === "settled") return this.#next(entry);
    entry.company = company;
    this.waiting++;
    this.#makeReady(entry);
  }

  /** Removes a sent operation, and makes the next one with its key ready. Returns whether it was unsettled. */
  done(entry: Entry<In, Out>): boolean {
    this.#next(entry);
    if (entry.state === "settled") return false;
    this.#remove(entry);
    return true;
  }

  /** Fails an operation. It is not sent from then on. */
  fail(entry: Entry<In, Out>, error: unknown): void {
    const { state } = entry;
    if (state === "settled") return;
    this.#remove(entry);
    // Its statement may still wait for a connection.
    entry.until = Number.NEGATIVE_INFINITY;
    entry.reject(error);
    if (state === "sent") return;
    this.waiting--;
    if (state === "queued") return;
    this.ready--;
    this.#next(entry);
  }

  /**
   * Fails operations older than an age.
   *
   * @param age - milliseconds
   * @returns milliseconds until the oldest operation left reaches that age. Undefined when no operation is left
   */
  failOlder(age: number, error: () => Error): number | undefined {
    const now = performance.now();
    for (let entry = this.#oldest; entry !== undefined; entry = this.#oldest) {
      const left = entry.since + age - now;
      if (left > 0) return left;
      this.fail(entry, error());
    }
    return undefined;
  }

  #makeReady(entry: Entry<In, Out>): void {
    entry.state = "ready";
    this.ready++;
    this.#line.push(entry);
  }

  /** Makes the next operation with the same key ready. */
  #next(entry: Entry<In, Out>): void {
    if (entry.key === undefined) return;
    let { next } = entry;
    entry.next = undefined;
    while (next?.state === "settled") ({ next } = next);
    if (next === undefined) this.#last.delete(entry.key);
    else this.#makeReady(next);
  }

  #remove(entry: Entry<In, Out>): void {
    const { older, younger } = entry;
    if (older === undefined) this.#oldest = younger;
    else older.younger = younger;
    if (younger === undefined) this.#youngest = older;
    else younger.older = older;
    entry.older = entry.younger = undefined;
    entry.state = "settled";
    this.size--;
  }
}

function isReady({ state }: { state: string }): boolean {
  return state === "ready";
}
