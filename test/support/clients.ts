import { neonConfig, Pool as NeonPool } from "@neondatabase/serverless";
import pg from "pg";
import postgres from "postgres";
import { WebSocket } from "ws";
import { type OpenClient, queryOf } from "../contract/postgres-host.ts";
import { startWebSocketBridge } from "./websocket-bridge.ts";

export interface ClientOptions {
  /** Maximum number of connections. Default 5. */
  max?: number;
  /** The name of its connections on the server. */
  name?: string;
}

/** Neon's settings apply to the whole process. */
let bridge: Promise<number> | undefined;

/** The drivers that talk to a server. */
export const clients = {
  "node-postgres": async (url, { max = 5, name } = {}) => {
    const pool = new pg.Pool({ connectionString: url, max, application_name: name });
    return { db: pool, close: () => pool.end() };
  },
  "postgres.js": async (url, { max = 5, name } = {}) => openPostgresJs(url, { max, name }),
  "Neon's Pool": async (url, { max = 5, name } = {}) => {
    const port = await (bridge ??= startWebSocketBridge());
    neonConfig.webSocketConstructor = WebSocket;
    neonConfig.wsProxy = (host, serverPort) => `127.0.0.1:${port}/?address=${host}:${serverPort}`;
    neonConfig.useSecureWebSocket = false;
    neonConfig.pipelineConnect = false;
    const pool = new NeonPool({ connectionString: url, max, application_name: name });
    return { db: pool, close: () => pool.end() };
  },
} satisfies Record<string, (url: string, options?: ClientOptions) => Promise<OpenClient>>;

export type Driver = keyof typeof clients;

/** Creates a client of postgres.js, which has options of its own. */
export function openPostgresJs(
  url: string,
  { name, ...options }: postgres.Options<Record<string, postgres.PostgresType>> & { name?: string | undefined },
): OpenClient {
  const connection = name === undefined ? {} : { connection: { application_name: name } };
  // With `fetch_types` it asks for types when it connects, and an error of that can't be caught.
  const sql = postgres(url, { max: 5, onnotice: () => {}, fetch_types: false, ...connection, ...options });
  return { db: sql, query: queryOf(sql), close: () => sql.end({ timeout: 1 }) };
}
