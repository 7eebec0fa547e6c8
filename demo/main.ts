import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { openStore, SessionManager } from "pgstore";
import { answerError, createApp } from "./app.ts";
import type { DemoSession } from "./demo-session.ts";

/** How long requests under way may take to finish when the server is told to stop, in milliseconds. */
const GRACE = 5000;

await start().catch(report);

async function start(): Promise<void> {
  let answer = answerStarting;
  const server = http.createServer((request, response) => void answer(request, response));
  // Before the store: a port that is taken is said at once.
  await listen(server);
  try {
    const store = await openStore();
    const manager = new SessionManager<DemoSession>(store, { lifetime: "7d", onError: answerError });
    answer = createApp(manager, store);
    stopOnSignal(server, () => store.close());
    console.log(`pgstore demo on ${addressOf(server)}, sessions in ${store.location}`);
  } catch (error) {
    server.close();
    server.closeAllConnections();
    throw error;
  }
}

/** For requests that come before the store is open. */
function answerStarting(_request: IncomingMessage, response: ServerResponse): unknown {
  return response.writeHead(503, { "Retry-After": "1" }).end("Starting\n");
}

function listen(server: http.Server): Promise<void> {
  const port = Number(process.env.PORT || 4000);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error("PORT must be a number from 0 to 65535");
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, process.env.HOST || "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function addressOf(server: http.Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === "string") return String(bound);
  const { address, port } = bound;
  const host = ["127.0.0.1", "::1", "0.0.0.0", "::"].includes(address) ? "localhost" : address;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** On SIGINT and SIGTERM: takes no more requests, finishes those under way, then lets go of everything. */
function stopOnSignal(server: http.Server, release: () => Promise<void>): void {
  let active = 0;
  let stopping = false;
  // Browsers keep spare connections open; once no request is under way, they need not be waited for.
  const closeIfIdle = (): void => {
    if (stopping && active === 0) server.closeAllConnections();
  };
  server.on("request", (_request: IncomingMessage, response: ServerResponse) => {
    active += 1;
    response.once("close", () => {
      active -= 1;
      closeIfIdle();
    });
  });
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    server.close(() => void release().catch(report));
    setTimeout(() => server.closeAllConnections(), GRACE).unref();
    closeIfIdle();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
}

function report(error: unknown): void {
  console.error(`pgstore demo: ${explain(error)}`);
  process.exitCode = 1;
}

/** The reason, in one line; the store's errors have the driver's as their cause. */
function explain(error: unknown): string {
  const { code, port, cause } = error as { code?: string; port?: number; cause?: unknown };
  if (code === "EADDRINUSE") return `port ${port} is taken; choose another with the environment variable PORT`;
  const reason = cause === undefined ? "" : ` (${messageOf(cause)})`;
  return (messageOf(error) + reason).replaceAll(/\s+/g, " ");
}

/** Of several addresses that failed, Node gives a code and no message; PGlite's file system gives only a name. */
function messageOf(error: unknown): string {
  const { message, code, name } = error as { message?: string; code?: string; name?: string };
  return message || code || name || String(error);
}
