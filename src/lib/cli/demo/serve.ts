import { once } from "node:events";
import http, { type ServerResponse } from "node:http";
import type { NodeListener } from "../../adapters/node.ts";
import { atMost } from "../../core/time.ts";
import { openStore } from "../../postgres/open.ts";
import type { PgStore } from "../../postgres/pg-store.ts";
import { type Answer, EXIT } from "../answer.ts";
import { type CommonOptions, findUrl } from "../connection.ts";
import { UsageError } from "../failures.ts";
import { onStop } from "../terminal.ts";
import { createDemo } from "./app.ts";

/** Milliseconds for requests under way to finish when the server stops. */
const MAX_SHUTDOWN_MS = 5000;

/** Options of `demo`. */
interface DemoOptions extends CommonOptions {
  port?: string;
  host?: string;
}

/**
 * Serves the demo. Resolves when it listens, and goes on until SIGINT or SIGTERM.
 *
 * @param open - opens the store, which is closed at the end
 */
export async function demo(options: DemoOptions, open = openOwn): Promise<Answer> {
  const { host = "127.0.0.1", port: given = process.env["PORT"] || "4000" } = options;
  const port = Number(given);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new UsageError(`--port or PORT: expected a number from 0 to 65535, got ${given}`);
  }
  let answer: NodeListener = answerStarting;
  const underWay = new Set<ServerResponse>();
  const server = http.createServer((request, response) => {
    underWay.add(response);
    response.once("close", () => underWay.delete(response));
    answer(request, response);
  });
  // Before the store is opened, so that a port in use is reported at once.
  await once(server.listen(port, host), "listening");
  try {
    const store = await open(options);
    const { listener, close } = createDemo(store);
    answer = listener;
    onStop(async () => {
      close();
      server.close(() => void store.close().catch(failed));
      await atMost(Promise.allSettled(Array.from(underWay, (response) => once(response, "close"))), MAX_SHUTDOWN_MS);
      // Browsers keep spare connections open.
      server.closeAllConnections();
    });
    const json = { url: addressOf(server), location: store.location ?? "" };
    return { text: `pgstore demo on ${json.url}, sessions in ${json.location}`, json, exitCode: EXIT.ok };
  } catch (error) {
    server.close();
    server.closeAllConnections();
    throw error;
  }
}

/** Answers requests that come before the store is open. */
const answerStarting: NodeListener = (_request, response) =>
  response.writeHead(503, { "Retry-After": "1" }).end("Starting\n");

function failed(error: unknown): void {
  console.error("pgstore demo:", error);
  process.exitCode = EXIT.problem;
}

function addressOf(server: http.Server): string {
  const { address, port } = server.address() as { address: string; port: number };
  const host = ["127.0.0.1", "::1", "0.0.0.0", "::"].includes(address) ? "localhost" : address;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

async function openOwn(options: CommonOptions): Promise<PgStore> {
  const { table, schema } = options;
  return openStore(findUrl(options), { table, schema }).catch(explained);
}

/** Says how to run the demo where PGlite is not installed, as with a plain npx. */
function explained(error: unknown): never {
  const { code } = ((error as Error).cause ?? {}) as { code?: unknown };
  if (code !== "ERR_MODULE_NOT_FOUND") throw error;
  throw new UsageError(
    "the demo needs a database. Run it with an embedded one: npx -p pgstore -p @electric-sql/pglite pgstore demo. " +
      "Or set DATABASE_URL to that of a server",
  );
}
