import type { EndingStore, Store, StoredSession } from "../port/store.ts";

/** Gives a store that only has find, save and delete the rest, with what that costs: a late write brings a session back. */
export function withEndings(store: Store): EndingStore {
  const { find, save, delete: remove, end, upsert, setExpiry } = (store ?? {}) as Partial<EndingStore>;
  if (![find, save, remove].every((method) => typeof method === "function")) {
    throw new TypeError("store: must have the functions find, save and delete");
  }
  if ([end, upsert, setExpiry].every((method) => typeof method === "function")) return store as EndingStore;
  return new WithoutEndings(store);
}

class WithoutEndings implements EndingStore {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  find(token: string): Promise<StoredSession | undefined> {
    return this.#store.find(token);
  }

  save(token: string, data: Uint8Array, expiry: Date): Promise<void> {
    return this.#store.save(token, data, expiry);
  }

  delete(token: string): Promise<unknown> {
    return this.#store.delete(token);
  }

  async end(token: string): Promise<boolean> {
    return (await this.#store.delete(token)) !== false;
  }

  async upsert(token: string, data: Uint8Array, expiry: Date): Promise<boolean> {
    await this.#store.save(token, data, expiry);
    return true;
  }

  async setExpiry(token: string, expiry: Date): Promise<boolean> {
    const found = await this.#store.find(token);
    if (found === undefined) return false;
    await this.#store.save(token, found.data, expiry);
    return true;
  }
}
