import pg from "pg";
import { onTestFinished } from "vitest";
import { PgStore } from "../../src/index.ts";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";

/** Starts a server of the test's own, with the table `sessions`. */
export async function startServer(settings: Record<string, string> = {}): Promise<PostgresServer> {
  const server = await startPostgres({
    settings: { listen_addresses: "127.0.0.1", fsync: "off", max_connections: "100", ...settings },
  });
  onTestFinished(() => server.stop());
  const pool = new pg.Pool({ connectionString: server.url, max: 1 });
  await new PgStore(pool, { cleanupInterval: 0 }).migrate();
  await pool.end();
  return server;
}

/** Asks the server something by a connection that is made for it. */
export async function ask(server: PostgresServer, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(server.url);
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

/** Adds settings to each connection that is made by a URL; both drivers take them from there. */
export function withSettings(url: string, settings: Record<string, string>): string {
  const changed = new URL(url);
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  changed.searchParams.set("options", options.join(" "));
  return changed.href;
}
