import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { json } from "node:stream/consumers";
import type pg from "pg";

/** Keeps PostgreSQL's texts, which Neon's client parses. */
const RAW = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig;

/**
 * Starts a stand-in for Neon's HTTP endpoint on loopback: it takes a statement and its parameters as JSON, runs them on
 * a pool, and answers like Neon. It keeps no process alive and ends with it.
 *
 * @returns the port
 */
export async function startNeonHttpBridge(pool: pg.Pool): Promise<number> {
  const server = http.createServer((request, response) => void answer(pool, request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  return (server.address() as net.AddressInfo).port;
}

async function answer(pool: pg.Pool, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  response.setHeader("Content-Type", "application/json");
  try {
    const { query, params } = (await json(request)) as { query: string; params: unknown[] };
    const { command, rowCount, rows, fields } = await pool.query({
      text: query,
      values: params,
      rowMode: "array",
      types: RAW,
    });
    response.end(JSON.stringify({ command, rowCount, rows, fields }));
  } catch (error) {
    // Neon sends the fields of the server's error.
    response.statusCode = 400;
    response.end(JSON.stringify({ ...(error as object), message: (error as Error).message }));
  }
}

/** Returns a test database's URL with the password that `neon()` demands. */
export function neonUrl(url: string): string {
  const made = new URL(url);
  made.password ||= "none";
  return made.href;
}
