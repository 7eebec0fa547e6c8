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

/** How long requests under way may take to finish when the server stops. */
const MAX_SHUTDOWN_MS = 5000;

/** The addresses of the demo and of its database. */
export interface Served {
  url: string;
  location: string;
}

/**
 * Serves the demo until SIGINT or SIGTERM.
 *
 * @param open - opens the store, which is closed at the end
 * @param onError - receives errors of closing it
 */
export async function serveDemo(
  port: number,
  host: string,
  open: () => Promise<PgStore>,
  onError: (error: unknown) => void,
): Promise<Served> {
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
    const store = await open();
    const { listener, close } = createDemo(store);
    answer = listener;
    onStop(async () => {
      close();
      server.close(() => void store.close().catch(onError));
      await atMost(Promise.allSettled(Array.from(underWay, (response) => once(response, "close"))), MAX_SHUTDOWN_MS);
      // Browsers keep spare connections open.
      server.closeAllConnections();
    });
    return { url: addressOf(server), location: store.location ?? "" };
  } catch (error) {
    server.close();
    server.closeAllConnections();
    throw error;
  }
}

/** Answers requests that come before the store is open. */
const answerStarting: NodeListener = (_request, response) =>
  response.writeHead(503, { "Retry-After": "1" }).end("Starting\n");

function addressOf(server: http.Server): string {
  const { address, port } = server.address() as { address: string; port: number };
  const host = ["127.0.0.1", "::1", "0.0.0.0", "::"].includes(address) ? "localhost" : address;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Serves the demo. Resolves when it listens, and goes on until SIGINT or SIGTERM. */
export async function demo(options: CommonOptions & { port?: string; host?: string }): Promise<Answer> {
  const port = Number(options.port ?? (process.env["PORT"] || 4000));
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new UsageError(
      `--port or PORT: expected a number from 0 to 65535, got ${options.port ?? process.env["PORT"]}`,
    );
  const { table, schema } = options;
  const served = await serveDemo(
    port,
    options.host ?? "127.0.0.1",
    () => openStore(findUrl(options), { table, schema }).catch(explained),
    (error) => {
      console.error("pgstore demo:", error);
      process.exitCode = EXIT.problem;
    },
  );
  return { text: `pgstore demo on ${served.url}, sessions in ${served.location}`, json: served, exitCode: EXIT.ok };
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
