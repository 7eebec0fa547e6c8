import { wrong } from "../core/options.ts";
import type { ConditionalStore, EndingStore, Store, StoredSession, TouchOptions } from "../core/store.ts";
import { equalValues } from "../core/value.ts";

/** @throws TypeError when it is no store */
export function assertStore(store: Store): void {
  const { find, save, delete: remove } = (store ?? {}) as Partial<Store>;
  if ([find, save, remove].every((method) => typeof method === "function")) return;
  throw wrong("store", "an object with the functions find, save and delete", store);
}

/** Says whether a store can make its writes conditional. */
export function isConditional(store: Store): store is ConditionalStore {
  const { create, replace, renew, touch } = store as Partial<ConditionalStore>;
  return [create, replace, renew, touch].every((method) => typeof method === "function");
}

/**
 * Lets a store that only has find, save and delete take part, with what that costs: of two parallel commits the last
 * one wins whole, and a commit that overlaps the end of a session can bring it back.
 */
export class LastWriteWins implements ConditionalStore {
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

  async create(token: string, data: Uint8Array, expiry: Date): Promise<boolean> {
    await this.#store.save(token, data, expiry);
    return true;
  }

  async replace(token: string, _previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    await this.#store.save(token, data, expiry);
    return true;
  }

  /** Ends the old row first, as the seed does: a crash in between loses the session rather than leaving the old token good. */
  async renew(
    token: string,
    newToken: string,
    _previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
  ): Promise<boolean> {
    await this.#store.delete(token);
    await this.#store.save(newToken, data, expiry);
    return true;
  }

  async touch(token: string, expiry: Date, { unchanged }: TouchOptions = {}): Promise<boolean> {
    const found = await this.#store.find(token);
    if (found === undefined || (unchanged !== undefined && !equalValues(found.data, unchanged))) return false;
    if (expiry > found.expiry) await this.#store.save(token, found.data, expiry);
    return true;
  }
}

/** What a store of express-session asks of the one that it keeps its sessions in. */
export type SessionKeeper = Pick<EndingStore, "find" | "end" | "upsert" | "update" | "setExpiry">;

/** Gives a store that only has find, save and delete the rest, with what that costs: a late write brings a session back. */
export function withEndings(store: Store): SessionKeeper {
  assertStore(store);
  const { end, upsert, update, setExpiry } = store as Partial<EndingStore>;
  if ([end, upsert, update, setExpiry].every((method) => typeof method === "function")) return store as EndingStore;
  return {
    find: (token) => store.find(token),
    end: async (token) => (await store.delete(token)) !== false,
    upsert: async (token, data, expiry) => {
      await store.save(token, data, expiry);
      return true;
    },
    update: async (token, data, expiry) => {
      const found = await store.find(token);
      if (found !== undefined) await store.save(token, data, expiry);
      return found !== undefined;
    },
    setExpiry: async (token, expiry) => {
      const found = await store.find(token);
      if (found !== undefined) await store.save(token, found.data, expiry);
      return found !== undefined;
    },
  };
}
