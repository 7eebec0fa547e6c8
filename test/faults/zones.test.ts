import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { withSettings } from "./server.ts";
import { driverNames } from "./support.ts";

const ZONES = ["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"];

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const title = "a session begun in one time zone and read in another, of the process and of the connection";
describe.each(driverNames)(`${title}, with %s`, (driver) => {
  for (const [index, zone] of ZONES.entries()) {
    it(`${zone} and ${ZONES[(index + 1) % ZONES.length]}: lives for as long, to the millisecond`, async () => {
      const script = fileURLToPath(new URL("zone-process.ts", import.meta.url));
      const run = async (ours: string, theirs: string, ...args: string[]): Promise<Record<string, unknown>> => {
        const url = withSettings(database.url, { timezone: theirs });
        const env = { ...process.env, TZ: ours, ZONE_URL: url, ZONE_DRIVER: driver };
        const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script, ...args], { env });
        return JSON.parse(stdout) as Record<string, unknown>;
      };
      const next = ZONES[(index + 1) % ZONES.length] ?? "UTC";
      const made = await run(zone, next, "make");
      expect(await run(next, zone, "read", String(made["token"]))).toEqual({
        n: 1,
        deadline: made["deadline"],
        expiry: made["expiry"],
        expired: 0,
      });
      await database.pool({ max: 1 }).query("UPDATE sessions SET expiry = current_timestamp - interval '1 ms'");
      expect(await run(next, zone, "read", String(made["token"]))).toMatchObject({ n: null, expired: 1 });
    });
  }
});
