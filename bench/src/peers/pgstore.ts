import type pg from "pg";
import { PgStore } from "../pgstore.ts";
import { textOf } from "../rows.ts";
import { type Peer, tomorrow } from "./peer.ts";

export function pgstorePeer(pool: pg.Pool, table: string, keyOf: (n: number) => string): Peer {
  const store = new PgStore(pool, { table, cleanupInterval: 0 });
  return {
    name: "pgstore",
    async find(n, version) {
      const found = await store.find(keyOf(n));
      return found !== undefined && Buffer.from(textOf(n, version)).equals(found.data);
    },
    save: (n, version) => store.save(keyOf(n), Buffer.from(textOf(n, version)), tomorrow()),
  };
}
