import { MemoryStore, type TouchOptions, type WriteOptions } from "../../src/index.ts";

/** A memory store whose writes wait at a gate, or fail. */
export class GatedStore extends MemoryStore {
  #open: () => void = () => {};
  #gate: Promise<void> = Promise.resolve();
  #arrived: () => void = () => {};
  /** When set, every write fails with it. */
  failure: Error | undefined;
  /** Writes that went through. */
  writes = 0;
  finds = 0;

  /** @param now - the store's clock */
  constructor(now?: () => number) {
    super({ cleanupInterval: 0, ...(now === undefined ? {} : { now }) });
  }

  /** Makes the next writes wait. Resolves when the first of them has arrived. */
  hold(): { arrived: Promise<void>; release: () => void } {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
    const arrived = new Promise<void>((resolve) => (this.#arrived = resolve));
    return { arrived, release: () => this.#open() };
  }

  async #pass(): Promise<void> {
    this.#arrived();
    await this.#gate;
    if (this.failure !== undefined) throw this.failure;
    this.writes++;
  }

  override async find(token: string) {
    this.finds++;
    return super.find(token);
  }

  override async create(token: string, data: Uint8Array, expiry: Date, options?: WriteOptions): Promise<boolean> {
    await this.#pass();
    return super.create(token, data, expiry, options);
  }

  override async replace(token: string, previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    await this.#pass();
    return super.replace(token, previous, data, expiry);
  }

  override async renew(
    token: string,
    next: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options?: WriteOptions,
  ) {
    await this.#pass();
    return super.renew(token, next, previous, data, expiry, options);
  }

  override async touch(token: string, expiry: Date, options?: TouchOptions): Promise<boolean> {
    await this.#pass();
    return super.touch(token, expiry, options);
  }

  override async end(token: string): Promise<boolean> {
    await this.#pass();
    return super.end(token);
  }

  override async delete(token: string): Promise<boolean> {
    await this.#pass();
    return super.delete(token);
  }
}
