/** Begins a session, or reads it and cleans up, in the time zones of its environment. */
import { PgStore, SessionManager } from "../../src/index.ts";
import { clients, type Driver } from "../support/clients.ts";

const [action, token] = process.argv.slice(2);
const { ZONE_URL = "", ZONE_DRIVER } = process.env;
const client = await clients[ZONE_DRIVER as Driver](ZONE_URL, { max: 1 });
const store = new PgStore(client.db, { cleanupInterval: 0 });
const manager = new SessionManager<{ n: number }>(store, { idleTimeout: "20m", lifetime: "1h" });
const session = await manager.load(token);
if (action === "make") {
  session.set("n", 1);
  await manager.commit(session);
}
const row = await store.find(session.id ?? "");
const told = { n: session.get("n") ?? null, deadline: session.deadline.getTime(), expiry: row?.expiry.getTime() };
console.log(
  JSON.stringify(
    action === "make" ? { ...told, token: session.token } : { ...told, expired: await store.deleteExpired() },
  ),
);
await client.close();
