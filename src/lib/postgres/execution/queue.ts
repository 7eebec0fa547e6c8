import type { BatchEvent } from "../../core/events.ts";
import { monotonicNow } from "../../core/time.ts";
import type { Company, Item } from "./batch.ts";

/** An operation in the queue, from its submission to its answer. */
export interface Entry<In, Out> extends Item<In> {
  readonly key: string | undefined;
  until: number;
  company: Company | undefined;
  readonly weight: number;
  /** Its start by the monotonic clock, in milliseconds. */
  readonly since: number;
  state: "queued" | "ready" | "sent" | "settled";
  /** Reports its batch to observers, if there are any. */
  readonly report: ((event: BatchEvent) => void) | undefined;
  resolve(output: Out): void;
  reject(error: unknown): void;
  /** Its neighbours among the unsettled operations. */
  older: Entry<In, Out> | undefined;
  younger: Entry<In, Out> | undefined;
  /** The next operation with its key. */
  next: Entry<In, Out> | undefined;
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
export class Queue<In, Out> {
  #oldest: Entry<In, Out> | undefined;
  #youngest: Entry<In, Out> | undefined;
  #size = 0;
  #waiting = 0;
  /** Operations that may be sent, in the order in which they became ready, and some that have failed since. */
  #line: Entry<In, Out>[] = [];
  #ready = 0;
  /** The last unsettled operation of each key. */
  #last = new Map<string, Entry<In, Out>>();
  /** Operations with a key that were added to this map. */
  #keyed = 0;

  /** Number of ready operations. */
  get ready(): number {
    return this.#ready;
  }

  /** Number of operations not sent yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Number of unsettled operations. */
  get size(): number {
    return this.#size;
  }

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
    this.#size++;
    this.#waiting++;
    if (this.#line.length > 2 * this.#ready + MAX_LEFTOVERS) this.#line = this.#line.filter(isReady);
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
    const now = monotonicNow();
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
    this.#ready -= batch.length;
    this.#waiting -= batch.length;
    return batch;
  }

  /** Makes a sent operation ready again, behind the others. */
  takeBack(entry: Entry<In, Out>, company: Company | undefined): void {
    if (entry.state === "settled") {
      this.#next(entry);
      return;
    }
    entry.company = company;
    this.#waiting++;
    this.#makeReady(entry);
  }

  /** Removes a sent operation, and makes the next one with its key ready. Returns whether it was unsettled. */
  done(entry: Entry<In, Out>): boolean {
    this.#next(entry);
    if (entry.state === "settled") return false;
    this.#remove(entry);
    return true;
  }

  /** Fails an operation, which is then not sent any more. */
  fail(entry: Entry<In, Out>, error: unknown): void {
    const { state } = entry;
    if (state === "settled") return;
    this.#remove(entry);
    // Its statement may still wait for a connection.
    entry.until = Number.NEGATIVE_INFINITY;
    entry.reject(error);
    if (state === "sent") return;
    this.#waiting--;
    if (state === "queued") return;
    this.#ready--;
    this.#next(entry);
  }

  /**
   * Fails operations older than an age.
   *
   * @param age - milliseconds
   * @returns milliseconds until the next one reaches the age, or undefined when there is none
   */
  failOlder(age: number, error: () => Error): number | undefined {
    const now = monotonicNow();
    for (let entry = this.#oldest; entry !== undefined; entry = this.#oldest) {
      const left = entry.since + age - now;
      if (left > 0) return left;
      this.fail(entry, error());
    }
    return undefined;
  }

  #makeReady(entry: Entry<In, Out>): void {
    entry.state = "ready";
    this.#ready++;
    this.#line.push(entry);
  }

  /** Makes the next operation with the key of one ready. */
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
    this.#size--;
  }
}

function isReady({ state }: { state: string }): boolean {
  return state === "ready";
}
