/** One step with a session in a process whose clock is wrong; prints what it saw as JSON. */
import pg from "pg";

const RealDate = Date;
const offset = Number(process.env["APP_OFFSET"]);
// Both ways to ask for the time, as a clock that is wrong would answer.
globalThis.Date = class extends RealDate {
  constructor(...args: unknown[]) {
    super(...((args.length === 0 ? [RealDate.now() + offset] : args) as [number]));
  }
  static override now(): number {
    return RealDate.now() + offset;
  }
} as DateConstructor;

const { PgStore, SessionManager } = await import("../../src/index.ts");
const pool = new pg.Pool({ connectionString: process.env["APP_DATABASE_URL"] });
const store = new PgStore(pool, { cleanupInterval: 0 });
const manager = new SessionManager(store, {
  lifetime: "30m",
  idleTimeout: "30m",
  touchAfter: 0,
  cookie: { persist: true },
});
const [step, token] = process.argv.slice(2);
const seen: Record<string, unknown> = {};

if (step === "cleanup") {
  await store.deleteExpired();
} else {
  const session = await manager.load(token);
  seen["value"] = session.get("key");
  if (step === "create" || step === "write") session.set("key", 1);
  const { setCookie } = await manager.commit(session);
  seen["maxAge"] = Number(/Max-Age=(\d+)/.exec(setCookie ?? "")?.[1]);
  seen["id"] = session.id;
  seen["token"] = session.token;
  const { rows } = await pool.query<{ now: number }>(
    "SELECT extract(epoch from current_timestamp)::float8 * 1000 AS now",
  );
  seen["skew"] = (Date.now() - (rows[0]?.now ?? 0)) / 3_600_000;
}
await pool.end();
console.log(JSON.stringify(seen));
