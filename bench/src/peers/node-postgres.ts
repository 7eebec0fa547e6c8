import type pg from "pg";
import { textOf } from "../rows.ts";
import { type Peer, tomorrow } from "./peer.ts";

/** What can be had from node-postgres by itself: a prepared statement for each operation, on pgstore's table. */
export function nodePostgresPeer(pool: pg.Pool, table: string, keyOf: (n: number) => string): Peer {
  const find = {
    name: "find",
    text: `SELECT data, expiry FROM ${table} WHERE token = $1 AND expiry > current_timestamp`,
  };
  const save = {
    name: "save",
    text: `INSERT INTO ${table} (token, data, expiry) VALUES ($1, $2, $3)
      ON CONFLICT (token) DO UPDATE SET data = EXCLUDED.data, expiry = EXCLUDED.expiry`,
  };
  return {
    name: "node-postgres, prepared",
    async find(n, version) {
      const { rows } = await pool.query<{ data: Buffer; expiry: Date }>({ ...find, values: [keyOf(n)] });
      return rows[0] !== undefined && Buffer.from(textOf(n, version)).equals(rows[0].data);
    },
    async save(n, version) {
      await pool.query({ ...save, values: [keyOf(n), Buffer.from(textOf(n, version)), tomorrow()] });
    },
  };
}
