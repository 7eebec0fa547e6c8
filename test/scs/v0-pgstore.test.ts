import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PgStore } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let pool: ReturnType<TestDatabase["pool"]>;
beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool();
});
beforeEach(() => pool.query("DELETE FROM sessions"));
afterAll(() => database.drop());

const inAMinute = (): Date => new Date(Date.now() + 60_000);
const data = (text: string): Uint8Array => new TextEncoder().encode(text);
const rows = async (): Promise<unknown[]> =>
  (await pool.query("SELECT token, convert_from(data, 'UTF8') AS data, expiry FROM sessions")).rows;
const open = (): PgStore => new PgStore(pool, { cleanupInterval: 0 });

/** Ported from engine/pgstore/pgstore_test.go. */
describe("the PostgreSQL engine of SCS v0.1.1", () => {
  it("TestNew: an engine on a pool", () => {
    expect(open()).toBeInstanceOf(PgStore);
  });

  it("TestFind: finds the row that is there", async () => {
    await pool.query(
      "INSERT INTO sessions VALUES ('session_token', 'encoded_data', current_timestamp + interval '1 minute')",
    );
    expect((await open().find("session_token"))?.data).toEqual(data("encoded_data"));
  });

  it("TestFindMissing: finds nothing where nothing is", async () => {
    expect(await open().find("missing_session_token")).toBe(undefined);
  });

  it("TestSaveNew: inserts", async () => {
    const expiry = inAMinute();
    await open().save("session_token", data("encoded_data"), expiry);
    expect(await rows()).toEqual([{ token: "session_token", data: "encoded_data", expiry }]);
  });

  it("TestSaveUpdated: overwrites", async () => {
    const expiry = inAMinute();
    await open().save("session_token", data("encoded_data"), inAMinute());
    await open().save("session_token", data("new_encoded_data"), expiry);
    expect(await rows()).toEqual([{ token: "session_token", data: "new_encoded_data", expiry }]);
  });

  it("TestExpiry: finds it until then, and not after", async () => {
    await open().save("session_token", data("encoded_data"), inAMinute());
    expect(await open().find("session_token")).toBeDefined();
    await pool.query("UPDATE sessions SET expiry = current_timestamp - interval '1 millisecond'");
    expect(await open().find("session_token")).toBe(undefined);
  });

  it("TestDelete: removes", async () => {
    await open().save("session_token", data("encoded_data"), inAMinute());
    await open().delete("session_token");
    expect(await rows()).toEqual([]);
  });

  it("TestCleanup: removes what has expired at the interval, until it is stopped", async () => {
    const engine = new PgStore(pool, { cleanupInterval: 20 });
    await engine.save("session_token", data("encoded_data"), new Date(Date.now() - 1000));
    await engine.save("live", data("encoded_data"), inAMinute());
    await expect.poll(async () => (await rows()).length).toBe(1);
    engine.stopCleanup();
  });

  it("TestStopNilCleanup: stopping what was never started does nothing", () => {
    const engine = open();
    engine.stopCleanup();
    engine.stopCleanup();
  });
});
