import type { EndingStore, Store } from "../core/store.ts";

/** What a store of express-session asks of the one that it keeps its sessions in. */
export type SessionKeeper = Pick<EndingStore, "find" | "end" | "upsert" | "update" | "setExpiry">;

/** Gives a store that only has find, save and delete the rest, with what that costs: a late write brings a session back. */
export function withEndings(store: Store): SessionKeeper {
  const { find, save, delete: remove, end, upsert, update, setExpiry } = (store ?? {}) as Partial<EndingStore>;
  if (![find, save, remove].every((method) => typeof method === "function")) {
    throw new TypeError("store: must have the functions find, save and delete");
  }
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
