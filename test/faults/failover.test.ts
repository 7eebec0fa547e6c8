import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { StoreUnavailableError } from "../../src/index.ts";
import { startCutProxy } from "../support/cut-proxy.ts";
import { cookieOf } from "../support/serve.ts";
import { ask, startServer } from "./server.ts";
import { standbyOf } from "./standby.ts";
import { driverNames, openClient, postgresJsClient, startApp } from "./support.ts";

const soon = (): Date => new Date(Date.now() + 60_000);
const bytes = new Uint8Array([1]);

/** A server with a session whose counter is 2, and a standby that has it as well. */
async function startPair() {
  const server = await startServer();
  // The standby's line to the server, and the application's address, which leads to the standby first.
  const line = await startCutProxy(server.port);
  onTestFinished(() => line.close());
  const standby = await standbyOf(server, line.port);
  const address = await startCutProxy(standby.port);
  onTestFinished(() => address.close());
  const before = await startApp(openClient("node-postgres", server.url));
  const cookie = cookieOf(await before.get("/inc"));
  await before.get("/inc", cookie);
  const counted = async (): Promise<unknown> => {
    const [row] = await ask(standby, "SELECT count(*)::int AS n FROM sessions WHERE data LIKE '%\"n\":2%'");
    return row?.["n"];
  };
  await expect.poll(counted, { timeout: 10_000 }).toBe(1);
  return { server, standby, line, address, before, cookie };
}

/** As many at once as take every connection. */
const READS = 10;

describe.each(driverNames)("a failover, with %s", (driver) => {
  it("makes the standby the server: errors until then, writes by the same pool afterwards, nothing acknowledged lost", async () => {
    const { server, standby, address, cookie } = await startPair();
    const app = await startApp(openClient(driver, address.through(standby.url)));
    expect(await (await app.get("/get", cookie)).json()).toMatchObject({ n: 2 });
    expect((await app.get("/inc", cookie)).status).toBe(500);
    await expect(app.store.save("t", bytes, soon())).rejects.toThrow(StoreUnavailableError);
    const statuses: number[] = [];
    const seen = { isOver: false };
    const writing = (async () => {
      while (!seen.isOver) statuses.push((await app.get("/inc", cookie)).status);
    })();
    await server.kill();
    await ask(standby, "SELECT pg_promote()");
    await app.recovered();
    await sleep(200);
    seen.isOver = true;
    await writing;
    expect(statuses.filter((status) => status !== 200 && status !== 500)).toEqual([]);
    expect(statuses).toContain(200);
    const { n } = (await (await app.get("/get", cookie)).json()) as { n: number };
    expect(n).toBe(2 + statuses.filter((status) => status === 200).length);
  });

  it("of the address only: connections that still lead to the standby are not kept", async () => {
    const { server, standby, address, cookie } = await startPair();
    const url = address.through(standby.url);
    // postgres.js drops none by itself.
    const client = driver === "postgres.js" ? postgresJsClient(url, { max_lifetime: 1 }) : openClient(driver, url);
    const app = await startApp(client);
    const reads = await Promise.all(Array.from({ length: READS }, () => app.get("/get", cookie)));
    expect(reads.map(({ status }) => status)).toEqual(Array(READS).fill(200));
    expect((await app.get("/inc", cookie)).status).toBe(500);
    address.leadTo(server.port);
    await app.recovered();
    const writes = async (): Promise<number[]> =>
      (await Promise.all(Array.from({ length: READS }, () => app.get("/inc")))).map(({ status }) => status);
    await expect.poll(writes, { timeout: 10_000 }).toEqual(Array(READS).fill(200));
  });
});

it("a failover to a standby that has not got everything loses what was acknowledged, a log-out too: see the threat model", async () => {
  const { before, server, standby, line, cookie } = await startPair();
  line.refuse(true);
  line.killAll();
  expect((await before.get("/logout", cookie)).status).toBe(200);
  await server.kill();
  await ask(standby, "SELECT pg_promote()");
  const after = await startApp(openClient("node-postgres", standby.url));
  await after.recovered();
  expect(await (await after.get("/get", cookie)).json()).toMatchObject({ n: 2 });
});

describe('postgres.js with target_session_attrs: "primary"', () => {
  it("keeps no connection to the standby of two addresses: writes to the server, then to who was promoted", async () => {
    const { server, standby, cookie } = await startPair();
    const both = new URL(standby.url).host + `,${new URL(server.url).host}`;
    const url = standby.url.replace(new URL(standby.url).host, both);
    const app = await startApp(postgresJsClient(url, { target_session_attrs: "primary" }));
    for (let n = 0; n < 5; n++) {
      const writes = await Promise.all(Array.from({ length: READS }, () => app.get("/inc")));
      expect(writes.map(({ status }) => status)).toEqual(Array(READS).fill(200));
    }
    await server.kill();
    await ask(standby, "SELECT pg_promote()");
    await app.recovered();
    expect(await (await app.get("/get", cookie)).json()).toMatchObject({ n: 2 });
  });

  it("has none where the only address leads to a standby, and is used as soon as that is promoted", async () => {
    const { server, standby, address, cookie } = await startPair();
    const client = postgresJsClient(address.through(standby.url), { target_session_attrs: "primary" });
    const app = await startApp(client);
    const reads = await Promise.all(Array.from({ length: READS }, () => app.get("/get", cookie)));
    expect(reads.map(({ status }) => status)).toEqual(Array(READS).fill(500));
    await server.kill();
    await ask(standby, "SELECT pg_promote()");
    await app.recovered();
    expect(await (await app.get("/get", cookie)).json()).toMatchObject({ n: 2 });
  });
});
