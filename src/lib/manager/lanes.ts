/**
 * Queues work by key: within this process one piece at a time for each key, in the order in which they came.
 *
 * It is no lock (other processes write too) and correctness doesn't rest on it; it spares the many requests of one
 * browser from conflicting with one another. Each piece hands the next what it left behind.
 */
export class Lanes<T> {
  readonly #tails = new Map<string, Promise<T>>();

  /** @param work - gets what the piece before it resolved to; undefined when it is the first, or that one failed */
  async enter(key: string, work: (before: T | undefined) => Promise<T>): Promise<T> {
    const tail = this.#tails.get(key);
    const mine = tail === undefined ? work(undefined) : tail.then(work, () => work(undefined));
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }
}
