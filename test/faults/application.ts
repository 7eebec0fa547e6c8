/** An application in a process of its own: each request writes a key of its own, slowly, and is answered when it is stored. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PgStore, SessionManager } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";
import { clients, type Driver } from "../support/clients.ts";

const { APP_DATABASE_URL = "", APP_DRIVER } = process.env;
const client = await clients[APP_DRIVER as Driver](APP_DATABASE_URL);
const store = new PgStore(client.db);
const manager = new SessionManager<Record<string, unknown>>(store);

const server = http.createServer(
  nodeHandler(manager, async (request, response) => {
    const session = manager.sessionOf(request);
    const name = (request.url ?? "").slice(1);
    process.send?.("arrived");
    await sleep(100 + Math.random() * 400);
    session.set(name, true);
    response.end(session.id);
  }),
);
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));

process.once("SIGTERM", () => {
  server.close(() => {
    void store.close({ timeout: "10s" }).then(async () => {
      await client.close();
      process.disconnect?.();
    });
  });
  server.closeIdleConnections();
});
