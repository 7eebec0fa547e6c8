/** How much goes together. */
export interface BatchLimits {
  /** Operations in one statement. */
  rows: number;
  /** Statements of one kind under way at the same time. */
  statements: number;
  /** Operations of one kind that wait for their statement. */
  waiting: number;
}

/** How one operation of a batch failed. */
export class Failed {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/**
 * Carries out operations together.
 *
 * @param inputs - their keys are distinct
 * @param left - milliseconds after which nobody waits for it any more; it must resolve some time
 * @returns what each came to, in the same order
 */
export type RunBatch<In, Out> = (inputs: In[], left: number) => Promise<(Out | Failed)[]>;
