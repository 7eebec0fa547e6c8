/** Destroys, sets and reads with callbacks that throw, in a process of its own, and says how often each was called. */
import pg from "pg";
import { ExpressSessionStore } from "../../src/express-session.ts";

const [url = "", table = ""] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url });
const store = new ExpressSessionStore({ pool, table, layout: "connect-pg-simple", cleanupInterval: 0 });
const calls: Record<string, number> = { get: 0, set: 0, touch: 0, error: 0 };
const seen = { uncaught: 0, rejections: 0 };
process.on("uncaughtException", () => seen.uncaught++);
process.on("unhandledRejection", () => seen.rejections++);

function throwing(name: string): () => never {
  return () => {
    calls[name] = (calls[name] ?? 0) + 1;
    throw new Error("the application's own");
  };
}

await store.set("sid", { cookie: {} });
store.get("sid", throwing("get"));
store.set("sid", { cookie: {} }, throwing("set"));
store.touch("sid", { cookie: {} }, throwing("touch"));
store.get("", throwing("error"));
// Without a callback and without awaiting, as an application may.
await store.destroy("other");
const limit = Date.now() + 10_000;
while (seen.uncaught < 4 && Date.now() < limit) await new Promise((resolve) => setTimeout(resolve, 10));
await new Promise((resolve) => setTimeout(resolve, 50));
const alive = (await store.get("sid")) !== undefined;
await store.close();
await pool.end();
console.log(JSON.stringify({ calls, ...seen, alive }));
