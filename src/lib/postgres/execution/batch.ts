import type { BatchEvent } from "../../core/events.ts";

/** Limits of batching for one kind of operation. */
export interface BatchLimits {
  /** Operations in one statement. */
  rows: number;
  /** Statements of one kind under way at the same time. */
  statements: number;
  /** Operations of one kind that may wait. */
  waiting: number;
  /** The driver's `leavesAtOnce`. */
  leavesAtOnce?: boolean | undefined;
}

/** Statements of an unshared operation under way at once: the default number of connections of a pool. */
export const MAX_LONE_STATEMENTS = 10;

/** Approximate limit of a statement's or an answer's size. */
export const MAX_BATCH_BYTES = 1 << 20;

/** An operation that is about to be sent, or sent again. */
export interface Item<In> {
  readonly input: In;
  /** Moment until which it may be sent, by the monotonic clock in milliseconds. In the past once it has failed. */
  readonly until: number;
  /** The only group with which it may share a statement. */
  readonly company: Company | undefined;
}

/** The failure of one operation of a batch. */
export class Failed {
  readonly error: unknown;

  /** Wraps the error of an operation. */
  constructor(error: unknown) {
    this.error = error;
  }
}

/** An answer that takes much memory. It is opened after earlier callers have had time to handle their answers. */
export class Large<Out> {
  /** Approximate size in bytes. */
  readonly size: number;
  readonly open: () => Out;

  /** Creates an answer that `open` makes when it is due. */
  constructor(size: number, open: () => Out) {
    this.size = size;
    this.open = open;
  }
}

/**
 * A group of operations that share no statement with operations outside it. As the result of an operation it means: send it
 * again in this company, behind the waiting ones.
 */
export class Company {
  /** The refused batch that they come from, if any. */
  readonly refusal: Refusal | undefined;

  /** Creates a group, split from a refused batch if given. */
  constructor(refusal?: Refusal) {
    this.refusal = refusal;
  }
}

/** The state of a refused batch whose operations are sent again in smaller companies. */
export interface Refusal {
  readonly error: Error;
  /** Whether an earlier attempt may have been carried out. */
  readonly inDoubt: boolean;
  /** Whether any of it was accepted, so that the reason lies in some of its operations only. */
  wasAccepted: boolean;
  /** Number of its operations that were refused alone. */
  refusedAlone: number;
}

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

/** The result of an operation of a batch. */
export type BatchOutput<Out> = Out | Large<Out> | Failed | Company;

/**
 * Runs operations in one batch. It must settle eventually.
 *
 * @param items - the operations. Writes have distinct keys
 * @param left - milliseconds after which all of them have failed
 * @returns their results, in the same order
 */
export type RunBatch<In, Out> = (items: Item<In>[], left: number) => Promise<BatchOutput<Out>[]>;

/** Divides a refused batch: three operations go alone, to find out whether the reason lies in single rows, the rest in halves. */
export function inCompanies(count: number, refusal: Refusal): Company[] {
  const halves = [new Company(refusal), new Company(refusal)] as const;
  const alone = new Set([0, count >> 1, count - 1]);
  return Array.from({ length: count }, (_, n) =>
    alone.has(n) ? new Company(refusal) : n < count / 2 ? halves[0] : halves[1],
  );
}

/** Remembered ids whose rows were refused. */
const MAX_OFFENDERS = 1000;

/** Remembers an id whose row was refused. Forgets the oldest beyond the limit. */
export function remember(offenders: Set<string>, id: string): void {
  const [oldest] = offenders;
  if (offenders.size >= MAX_OFFENDERS && oldest !== undefined) offenders.delete(oldest);
  offenders.add(id);
}
