import { wrong } from "../core/options.ts";
import type { ConditionalStore, EndingStore, Store, StoredSession, TouchOptions } from "../core/store.ts";
import { equalValues } from "../core/value.ts";

/** Checks that a value has the functions of a store. @throws TypeError when it lacks one */
export function assertStore(store: Store): void {
  const { find, save, delete: remove } = (store ?? {}) as Partial<Store>;
  if ([find, save, remove].every((method) => typeof method === "function")) return;
  throw wrong("store", "an object with the functions find, save and delete", store);
}

/** Tells whether a store has conditional writes. */
export function isConditional(store: Store): store is ConditionalStore {
  const { create, replace, renew, touch } = store as Partial<ConditionalStore>;
  return [create, replace, renew, touch].every((method) => typeof method === "function");
}

/**
 * Adapts a store that has only find, save and delete. It loses updates: of two parallel commits the last one wins whole, and a commit that
 * overlaps the end of a session can bring it back.
 */
export class LastWriteWins implements ConditionalStore {
  readonly #store: Store;

  /** Wraps a store. */
  constructor(store: Store) {
    this.#store = store;
  }

  find(id: string): Promise<StoredSession | undefined> {
    return this.#store.find(id);
  }

  save(id: string, data: Uint8Array, expiry: Date): Promise<void> {
    return this.#store.save(id, data, expiry);
  }

  delete(id: string): Promise<unknown> {
    return this.#store.delete(id);
  }

  async create(id: string, data: Uint8Array, expiry: Date): Promise<boolean> {
    await this.#store.save(id, data, expiry);
    return true;
  }

  async replace(id: string, _previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    await this.#store.save(id, data, expiry);
    return true;
  }

  /** Deletes the old row first, as SCS does: a crash in between loses the session instead of leaving the old token valid. */
  async renew(id: string, newId: string, _previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    await this.#store.delete(id);
    await this.#store.save(newId, data, expiry);
    return true;
  }

  async touch(id: string, expiry: Date, { unchanged }: TouchOptions = {}): Promise<boolean> {
    const found = await this.#store.find(id);
    if (found === undefined || (unchanged !== undefined && !equalValues(found.data, unchanged))) return false;
    if (expiry > found.expiry) await this.#store.save(id, found.data, expiry);
    return true;
  }
}

/** The functions of a store that the store for express-session uses. */
export type SessionKeeper = Pick<EndingStore, "find" | "end" | "upsert" | "update" | "setExpiry">;

/** Adds the missing functions to a store that has only find, save and delete. A late write can then bring an ended session back. */
export function withEndings(store: Store): SessionKeeper {
  assertStore(store);
  const { end, upsert, update, setExpiry } = store as Partial<EndingStore>;
  if ([end, upsert, update, setExpiry].every((method) => typeof method === "function")) return store as EndingStore;
  return {
    find: (id) => store.find(id),
    end: async (id) => (await store.delete(id)) !== false,
    upsert: async (id, data, expiry) => {
      await store.save(id, data, expiry);
      return true;
    },
    update: async (id, data, expiry) => {
      const found = await store.find(id);
      if (found !== undefined) await store.save(id, data, expiry);
      return found !== undefined;
    },
    setExpiry: async (id, expiry) => {
      const found = await store.find(id);
      if (found !== undefined) await store.save(id, found.data, expiry);
      return found !== undefined;
    },
  };
}
