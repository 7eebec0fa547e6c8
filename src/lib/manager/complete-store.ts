import { wrong } from "../core/options.ts";
import type { ConditionalStore, EndingStore, Store } from "../core/store.ts";
import { equalValues } from "../core/value.ts";

/** Checks that a value has the functions of a store. @throws TypeError when it lacks one */
export function assertStore(store: Store): void {
  const { find, save, delete: remove } = (store ?? {}) as Partial<Store>;
  if ([find, save, remove].every((method) => typeof method === "function")) return;
  throw wrong("store", "an object with the functions find, save and delete", store);
}

/**
 * Adds the missing conditional writes to a store that has only find, save and delete. Such a store loses updates: the
 * last of two parallel commits overwrites the other, and a commit that overlaps the end of a session can bring it back.
 */
export function withConditions(store: Store): ConditionalStore {
  const { create, replace, renew, touch } = store as Partial<ConditionalStore>;
  if ([create, replace, renew, touch].every((method) => typeof method === "function")) return store as ConditionalStore;
  const save = async (id: string, data: Uint8Array, expiry: Date): Promise<true> => {
    await store.save(id, data, expiry);
    return true;
  };
  return {
    find: (id) => store.find(id),
    save: (id, data, expiry) => store.save(id, data, expiry),
    delete: (id) => store.delete(id),
    create: save,
    replace: (id, _previous, data, expiry) => save(id, data, expiry),
    // The old row goes first, as in SCS: a crash in between loses the session instead of leaving the old token valid.
    renew: async (id, newId, _previous, data, expiry) => {
      await store.delete(id);
      return save(newId, data, expiry);
    },
    touch: async (id, expiry, { unchanged } = {}) => {
      const found = await store.find(id);
      if (found === undefined || (unchanged !== undefined && !equalValues(found.data, unchanged))) return false;
      if (expiry > found.expiry) await store.save(id, found.data, expiry);
      return true;
    },
  };
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
