import { monotonicNow } from "../../core/time.ts";
import type { BatchEvent } from "../../core/events.ts";
import type { Company, Item } from "./batch.ts";

/** One operation on its way. */
export interface Entry<In, Out> extends Item<In> {
  key: string | undefined;
  until: number;
  company: Company | undefined;
  weight: number;
  /** By the monotonic clock. */
  since: number;
  state: "queued" | "ready" | "sent";
  /** Tells the observers of its batch, as far as there are any. */
  report: ((event: BatchEvent) => void) | undefined;
  resolve(output: Out): void;
  reject(error: unknown): void;
}

/**
 * The operations of a kind that are not settled. Of two with the same key the later one is ready when the earlier is done,
 * so that they never share a statement, nor overtake one another.
 */
export class Queue<In, Out> {
  /** The oldest first. */
  readonly #open = new Set<Entry<In, Out>>();
  /** Those that may leave, in the order in which they became ready. */
  readonly #ready = new Set<Entry<In, Out>>();
  /** The keys of what is ready or sent, each with what is queued behind it. */
  readonly #lines = new Map<string, Entry<In, Out>[]>();
  #waiting = 0;

  /** How many are ready. */
  get ready(): number {
    return this.#ready.size;
  }

  /** How many have not been sent. */
  get waiting(): number {
    return this.#waiting;
  }

  /** How many are not settled. */
  get size(): number {
    return this.#open.size;
  }

  /** That which has been ready for the longest. */
  get first(): Entry<In, Out> | undefined {
    const [first] = this.#ready;
    return first;
  }

  /** Takes an operation in. Returns whether it is ready. */
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
   * Hands out what is ready, the oldest first and with it those of its company: at least one if there is any, at most so many
   * and so heavy together. What is too old to be sent fails instead, wherever it stands.
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

  /** Takes back what was sent: it is ready once more, behind the others. */
  takeBack(entry: Entry<In, Out>, company: Company | undefined): void {
    if (!this.#open.has(entry)) {
      this.#next(entry.key);
      return;
    }
    entry.company = company;
    this.#waiting++;
    this.#makeReady(entry);
  }

  /** Takes what was sent off the list: what is queued behind it is ready. Returns whether anybody still waits for it. */
  done(entry: Entry<In, Out>): boolean {
    this.#next(entry.key);
    return this.#open.delete(entry);
  }

  /** Settles an operation for which nobody waits any more; it will not be sent if it has not been. */
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
   * Fails what is older than that.
   *
   * @param age - milliseconds
   * @returns milliseconds until the next one is; undefined when there is none
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
