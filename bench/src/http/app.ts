import pg from "pg";
import { openRedisClient } from "../env/redis.ts";

/** What a server may use. */
export interface AppContext {
  /** A pool of 10. */
  pool(): pg.Pool;
  redis: () => ReturnType<typeof openRedisClient>;
}

/** Starts a server and returns its port. */
export type App = (context: AppContext) => Promise<number>;

export function contextOf(databaseUrl: string, redisUrl: string): AppContext {
  return {
    pool: () => new pg.Pool({ connectionString: databaseUrl, max: 10 }),
    redis: () => openRedisClient(redisUrl),
  };
}
