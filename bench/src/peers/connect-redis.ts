import { RedisStore } from "connect-redis";
import type session from "express-session";
import type { RedisClient } from "../env/redis.ts";
import { COOKIE, jsonTextOf } from "../rows.ts";
import type { Peer } from "./peer.ts";

const FILL_AT_ONCE = 1000;

/** @param prefix - of this peer's keys */
export async function connectRedisPeer(client: RedisClient, prefix: string, keys: readonly string[]): Promise<Peer> {
  const store = new RedisStore({ client, prefix });
  const peer: Peer = {
    name: "connect-redis",
    async find(n, version) {
      const found = (await store.get(keys[n] ?? "")) as { text?: string } | null;
      return found?.text === jsonTextOf(n, version);
    },
    async save(n, version) {
      const data = { cookie: COOKIE, text: jsonTextOf(n, version) } as unknown as session.SessionData;
      await store.set(keys[n] ?? "", data);
    },
  };
  for (let from = 0; from < keys.length; from += FILL_AT_ONCE) {
    await Promise.all(keys.slice(from, from + FILL_AT_ONCE).map((_, n) => peer.save(from + n, 0)));
  }
  return peer;
}
