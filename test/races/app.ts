/**
 * An application in a process of its own, for races between processes: one route for each thing that a request can do to
 * its session. `hold=1` makes a request stop between load and change until the parent process says go.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { type Duration, PgStore, SessionManager, type Session } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";
import { clients, type Driver } from "../support/clients.ts";

const { APP_DATABASE_URL = "", APP_DRIVER = "node-postgres", APP_QUERY_TIMEOUT = "5s" } = process.env;
const { db } = await clients[APP_DRIVER as Driver](APP_DATABASE_URL, { max: 10 });
const store = new PgStore(db, { cleanupInterval: 0, queryTimeout: APP_QUERY_TIMEOUT as Duration });
const manager = new SessionManager<Record<string, unknown>>(store, {
  ...(process.env["APP_IDLE"] === undefined ? {} : { idleTimeout: process.env["APP_IDLE"] as Duration, touchAfter: 0 }),
  cookie: { persist: process.env["APP_PERSIST"] === "1" },
});

let go: () => void = () => {};
let gate = new Promise<void>((resolve) => (go = resolve));
process.on("message", () => {
  go();
  gate = new Promise((resolve) => (go = resolve));
});
process.on("disconnect", () => process.exit());

const actions: Record<string, (session: Session<Record<string, unknown>>, key: string) => unknown> = {
  set: (session, key) => session.set(key, key),
  update: (session, key) => session.update(key, (n) => (typeof n === "number" ? n : 0) + 1),
  read: (session, key) => session.get(key),
  renewToken: (session) => session.renewToken(),
  reset: (session) => session.reset(),
  login: (session, key) => session.login(key),
  destroy: (session) => session.destroy(),
  clear: (session) => session.clear(),
  tagged: (session, key) => session.login(key, { tags: [`tag of ${key}`] }),
  revoke: (_session, key) => manager.destroyByUser(key),
  revokeTag: (_session, key) => manager.destroyByTag(`tag of ${key}`),
  revokeId: async (_session, key) => {
    for (const { id } of await manager.listByUser(key)) await manager.destroyById(id);
  },
};

const server = http.createServer(
  nodeHandler(manager, async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://x");
    const session = manager.sessionOf(request);
    if (searchParams.has("hold")) {
      const released = gate;
      process.send?.("arrived");
      await released;
    }
    await actions[pathname.slice(1)]?.(session, searchParams.get("key") ?? "");
    const values = Object.fromEntries(session.keys().map((key) => [key, session.get(key)]));
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ status: session.status, userId: session.userId, values }));
  }),
);
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
