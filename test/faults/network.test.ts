import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { cookieOf } from "../support/serve.ts";
import { driverNames, openClient, startApp } from "./support.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  return () => database.drop();
});

const QUERY_TIMEOUT = 500;

describe.each(driverNames)("a black hole, with %s", (driver) => {
  it("ends each request by the store's time, without a cookie, and none of its connections is used again", async () => {
    const proxy = await startCutProxy(Number(new URL(database.url).port));
    onTestFinished(() => proxy.close());
    const app = await startApp(openClient(driver, proxy.through(database.url)), { queryTimeout: QUERY_TIMEOUT });
    const cookie = cookieOf(await app.get("/inc"));
    // Connections that lose a statement, and others that lose only their successors.
    await Promise.all(Array.from({ length: 10 }, () => app.get("/get", cookie)));
    proxy.blackhole(true);
    const answers = await Promise.all(Array.from({ length: 20 }, () => app.get("/inc", cookie)));
    for (const answer of answers) expect([answer.status, answer.headers.getSetCookie()]).toEqual([500, []]);
    proxy.blackhole(false);
    await app.recovered();
    const now = await app.get("/get", cookie);
    // What the hole has swallowed was never carried out.
    expect(((await now.json()) as { n: number }).n).toBe(1);
  });
});
