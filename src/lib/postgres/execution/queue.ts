import { monotonicNow } from "../../core/time.ts";
import type { BatchEvent } from "../../core/events.ts";
import type { Company, Item } from "./batch.ts";

/** An operation in the queue. */
export interface Entry<In, Out> extends Item<In> {
  key: string | undefined;
  until: number;
  company: Company | undefined;
  weight: number;
  /** Its start by the monotonic clock, in milliseconds. */
  since: number;
  state: "queued" | "ready" | "sent";
  /** Reports its batch to observers, if there are any. */
  report: ((event: BatchEvent) => void) | undefined;
  resolve(output: Out): void;
  reject(error: unknown): void;
}

/**
 * The unsettled operations of a kind. Two with the same key run one after the other: they never share a statement or overtake
 * each other.
 */
export class Queue<In, Out> {
  /** All unsettled operations, oldest first. */
  readonly #open = new Set<Entry<In, Out>>();
  /** Operations that may be sent, in the order in which they became ready. */
  readonly #ready = new Set<Entry<In, Out>>();
  /** Keys of ready and sent operations, each with the operations queued behind. */
  readonly #lines = new Map<string, Entry<In, Out>[]>();
  #waiting = 0;

  /** Number of ready operations. */
  get ready(): number {
    return this.#ready.size;
  }

  /** Number of operations not sent yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Number of unsettled operations. */
  get size(): number {
    return this.#open.size;
  }

  /** The operation that has been ready for the longest time. */
  get first(): Entry<In, Out> | undefined {
    const [first] = this.#ready;
    return first;
  }

  /** Adds an operation. Returns whether it is ready. */
  add(entry: Entry<In, Out>): boolean {
    const { key } = entry;
    this.#open.add(entry);
    this.#waiting++;
    if (key !== undefined) {
      const line = this.#lines.get(key);
      if (line !== undefined) {
        line.push(entry);
        return false;
      }
      this.#lines.set(key, []);
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
    let weight = 0;
    for (const entry of this.#ready) {
      if (entry.until <= now) {
        this.fail(entry, tooLate());
        continue;
      }
      if (batch.length > 0 && entry.company !== batch[0]?.company) continue;
      weight += entry.weight;
      if (batch.length > 0 && (batch.length === most || weight > heaviest)) break;
      entry.state = "sent";
      batch.push(entry);
    }
    for (const entry of batch) this.#ready.delete(entry);
    this.#waiting -= batch.length;
    return batch;
  }

  /** Makes a sent operation ready again, behind the others. */
  takeBack(entry: Entry<In, Out>, company: Company | undefined): void {
    if (!this.#open.has(entry)) {
      this.#next(entry.key);
      return;
    }
    entry.company = company;
    this.#waiting++;
    this.#makeReady(entry);
  }

  /** Removes a sent operation, and makes the next one with its key ready. Returns whether it was unsettled. */
  done(entry: Entry<In, Out>): boolean {
    this.#next(entry.key);
    return this.#open.delete(entry);
  }

  /** Fails an operation, which is then not sent any more. */
  fail(entry: Entry<In, Out>, error: unknown): void {
    if (!this.#open.delete(entry)) return;
    // Its statement may still wait for a connection.
    entry.until = Number.NEGATIVE_INFINITY;
    entry.reject(error);
    if (entry.state === "sent") return;
    this.#waiting--;
    if (this.#ready.delete(entry)) this.#next(entry.key);
    else {
      const line = this.#lines.get(entry.key ?? "") ?? [];
      line.splice(line.indexOf(entry), 1);
    }
  }

  /**
   * Fails operations older than an age.
   *
   * @param age - milliseconds
   * @returns milliseconds until the next one reaches the age, or undefined when there is none
   */
  failOlder(age: number, error: () => Error): number | undefined {
    const now = monotonicNow();
    for (const entry of this.#open) {
      const left = entry.since + age - now;
      if (left > 0) return left;
      this.fail(entry, error());
    }
    return undefined;
  }

  #makeReady(entry: Entry<In, Out>): void {
    entry.state = "ready";
    this.#ready.add(entry);
  }

  #next(key: string | undefined): void {
    if (key === undefined) return;
    const entry = this.#lines.get(key)?.shift();
    if (entry === undefined) this.#lines.delete(key);
    else this.#makeReady(entry);
  }
}
