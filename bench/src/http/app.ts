import pg from "pg";
import type { RedisClient } from "../env/redis.ts";

/** What a server may use. */
export interface AppContext {
  /** A pool of 10. */
  pool(): pg.Pool;
  redis(): Promise<RedisClient>;
}

/** Starts a server and returns its port. */
export type App = (context: AppContext) => Promise<number>;

export function contextOf(databaseUrl: string, redisUrl: string): AppContext {
  return {
    pool: () => new pg.Pool({ connectionString: databaseUrl, max: 10 }).on("error", () => {}),
    // Loaded only where it is used: a server's process holds nothing of other peers.
    redis: async () => (await import("../env/redis.ts")).openRedisClient(redisUrl),
  };
}
