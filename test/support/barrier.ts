/** The result of Promise.withResolvers, which Node 20 lacks. */
export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T | PromiseLike<T>): void;
  reject(reason: unknown): void;
}

/** Makes a promise that is settled from outside. */
export function deferred<T = void>(): Deferred<T> {
  let resolve!: Deferred<T>["resolve"];
  let reject!: Deferred<T>["reject"];
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Holds every caller until it is opened. It then stays open. */
export class Gate {
  readonly #opened = deferred();

  open(): void {
    this.#opened.resolve();
  }

  wait(): Promise<void> {
    return this.#opened.promise;
  }
}

/** Makes a function whose callers all wait until `count` of them have called. */
export function barrier(count: number): () => Promise<void> {
  const gate = new Gate();
  let arrived = 0;
  return () => {
    if (++arrived >= count) gate.open();
    return gate.wait();
  };
}
