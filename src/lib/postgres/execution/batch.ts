/** How much goes together. */
export interface BatchLimits {
  /** Operations in one statement. */
  rows: number;
  /** Statements of one kind under way at the same time. */
  statements: number;
  /** Operations of one kind that wait for their statement. */
  waiting: number;
}

/** Bytes in one statement, or in one answer, give or take an operation. */
export const MAX_BATCH_BYTES = 1 << 20;

/** An operation that is about to be sent, or sent again. */
export interface Item<In> {
  readonly input: In;
  /** Until when it may be sent, by the monotonic clock. In the past: nobody waits for it any more. */
  readonly until: number;
  /** Those of one company share a statement, and with nobody else. */
  readonly company: Company | undefined;
}

/** How one operation of a batch failed. */
export class Failed {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** An operation of a batch is to be sent again, behind those that wait. */
export class Again {
  readonly company: Company | undefined;

  constructor(company?: Company) {
    this.company = company;
  }
}

/** An answer that takes much memory: it is made when those before it have had time to be done with theirs. */
export class Large<Out> {
  /** Bytes, about. */
  readonly size: number;
  readonly open: () => Out;

  constructor(size: number, open: () => Out) {
    this.size = size;
    this.open = open;
  }
}

/** Some operations that travel apart from all others. */
export class Company {
  /** The batch that they come from, if it was refused. */
  readonly refusal: Refusal | undefined;

  constructor(refusal?: Refusal) {
    this.refusal = refusal;
  }
}

/** What is known of a batch that was refused, while its operations go on in smaller companies. */
export class Refusal {
  /** Whether an earlier attempt may have been carried out. */
  readonly inDoubt: boolean;
  readonly error: Error;
  /** Whether anything of it was accepted: the reason lies in some of its operations only. */
  wasAccepted = false;
  /** How many of its operations were refused alone. */
  refusedAlone = 0;

  constructor(error: Error, inDoubt: boolean) {
    this.error = error;
    this.inDoubt = inDoubt;
  }
}

/** What an operation of a batch came to. */
export type BatchOutput<Out> = Out | Large<Out> | Failed | Again;

/**
 * Carries out operations together.
 *
 * @param items - the keys of writes are distinct
 * @param left - milliseconds after which nobody waits for it any more; it must resolve some time
 * @returns what each came to, in the same order
 */
export type RunBatch<In, Out> = (items: Item<In>[], left: number) => Promise<BatchOutput<Out>[]>;
