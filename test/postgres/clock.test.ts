import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { PgStore, SessionManager } from "../../src/index.ts";
import { DatabaseClock } from "../../src/lib/postgres/execution/executor.ts";
import { bundleOf } from "../support/bundle.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

const HOUR = 3_600_000;
const script = new URL("clock-process.ts", import.meta.url);
const run = promisify(execFile);

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** Runs one step of test/postgres/clock-process.ts in a process whose clock is wrong by `offset` milliseconds. */
async function wrongBy(offset: number, step: string, token = ""): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [await bundleOf(script), step, token], {
    env: { ...process.env, APP_DATABASE_URL: database.url, APP_OFFSET: String(offset), TZ: "Asia/Kathmandu" },
  });
  return JSON.parse(stdout) as Record<string, unknown>;
}

for (const offset of [-HOUR, HOUR]) {
  describe(`a process whose clock is an hour ${offset < 0 ? "behind" : "ahead"}`, () => {
    const manager = (options = {}): SessionManager =>
      new SessionManager(new PgStore(database.pool(), { cleanupInterval: 0 }), options);
    const minutesLeft = async (id: unknown): Promise<number> => {
      const sql =
        "SELECT extract(epoch from expiry - current_timestamp)::float8 / 60 AS left FROM sessions WHERE token = $1";
      const { rows } = await database.pool().query<{ left: number }>(sql, [id]);
      return rows[0]?.left ?? Number.NaN;
    };

    it("gives a new session its whole lifetime and no more, though it has read nothing before", async () => {
      const made = await wrongBy(offset, "create");
      expect(Number(made["skew"])).toBeCloseTo(offset / HOUR, 1);
      expect(await minutesLeft(made["id"])).toBeGreaterThan(28);
      expect(await minutesLeft(made["id"])).toBeLessThan(30.5);
      expect(made["maxAge"]).toBe(1800);
      const session = await manager({ lifetime: "30m" }).load(made["token"] as string);
      expect(session.get("key")).toBe(1);
      expect((session.deadline.getTime() - Date.now()) / 60_000).toBeCloseTo(30, -1);
    });

    it("neither ends a live session nor shortens it, and moves its expiry by the database's time", async () => {
      const session = await manager({ lifetime: "30m" }).load();
      session.set("key", 1);
      await manager({ lifetime: "30m" }).commit(session);
      const read = await wrongBy(offset, "touch", session.token);
      expect(read["value"]).toBe(1);
      expect(await minutesLeft(session.id)).toBeGreaterThan(28);
      expect(await minutesLeft(session.id)).toBeLessThan(30.5);
      await wrongBy(offset, "write", session.token);
      expect(await minutesLeft(session.id)).toBeGreaterThan(28);
      expect(await minutesLeft(session.id)).toBeLessThan(30.5);
    });

    it("does not see an expired session, and its cleanup removes only such", async () => {
      const live = await manager().load();
      live.set("key", 1);
      await manager().commit(live);
      const expired = await manager().load();
      expired.set("key", 1);
      await manager().commit(expired);
      const sql = "UPDATE sessions SET expiry = current_timestamp - interval '1 minute' WHERE token = $1";
      await database.pool().query(sql, [expired.id]);
      expect((await wrongBy(offset, "touch", expired.token))["value"]).toBe(undefined);
      await wrongBy(offset, "cleanup");
      expect((await manager().load(live.token)).get("key")).toBe(1);
      const { rowCount } = await database.pool().query("SELECT 1 FROM sessions WHERE token = $1", [expired.id]);
      expect(rowCount).toBe(0);
    });
  });
}

describe("DatabaseClock", () => {
  it("knows the database's time for five minutes", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const clock = new DatabaseClock();
    expect(clock.read()).toBe(undefined);
    vi.advanceTimersByTime(50);
    clock.observe(1_000_000);
    vi.advanceTimersByTime(300_000);
    expect(clock.read()).toBe(1_300_000);
    vi.advanceTimersByTime(1);
    expect(clock.read()).toBe(undefined);
    clock.observe(2_000_000);
    expect(clock.read()).toBe(2_000_000);
  });
});
