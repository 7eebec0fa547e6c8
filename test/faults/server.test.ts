import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { startCutProxy } from "../support/cut-proxy.ts";
import { cookieOf } from "../support/serve.ts";
import { ask, startServer, withSettings } from "./server.ts";
import { driverNames, load, openClient, startApp } from "./support.ts";

describe.each(driverNames)("the server under load, with %s", (driver) => {
  for (const mode of ["fast", "immediate"] as const) {
    it(`restarts (${mode}): answers are right or errors, and it is used again without a restart of the application`, async () => {
      const server = await startServer();
      const app = await startApp(openClient(driver, server.url));
      let over = false;
      const loading = load(app, 8, () => over);
      for (let round = 0; round < 3; round++) {
        await sleep(500);
        await server.restart(mode);
        await app.recovered();
      }
      over = true;
      const told = await loading;
      expect(told.wrong).toEqual([]);
      expect(told.acknowledged).toBeGreaterThan(0);
    });
  }

  it("loses a backend to kill -9 and recovers, and hardly a request notices", async () => {
    const server = await startServer();
    const app = await startApp(openClient(driver, server.url));
    let over = false;
    const loading = load(app, 8, () => over);
    for (let round = 0; round < 3; round++) {
      await sleep(300);
      const [row] = await ask(
        server,
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1",
      );
      process.kill(Number(row?.["pid"]), "SIGKILL");
      await sleep(300);
      await app.recovered();
    }
    over = true;
    expect((await loading).wrong).toEqual([]);
  });

  it("terminates a connection with every 25th request: 99 of 100 are right", async () => {
    const server = await startServer();
    const app = await startApp(openClient(driver, server.url));
    const seen = { requests: 0, killed: 0, isOver: false };
    const loading = load(app, 8, () => seen.requests++ > 1000 && seen.killed > 10);
    const killer = new pg.Client(server.url);
    await killer.connect();
    const kill =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1";
    const killing = (async () => {
      for (let next = 25; !seen.isOver; next += 25) {
        while (!seen.isOver && seen.requests < next) await sleep(1);
        seen.killed += (await killer.query(kill)).rowCount ?? 0;
      }
    })();
    const told = await loading;
    seen.isOver = true;
    await killing;
    await killer.end();
    expect(told.wrong).toEqual([]);
    expect(told.failed / (told.acknowledged + told.failed)).toBeLessThan(0.01);
    await app.recovered();
  });

  it("has no connection left: an error in time, and used as soon as there is one", async () => {
    const server = await startServer({ max_connections: "8", superuser_reserved_connections: "1" });
    const app = await startApp(openClient(driver, server.url), { queryTimeout: "2s" });
    const hogs: pg.Client[] = [];
    for (;;) {
      const hog = new pg.Client(server.url);
      hog.on("error", () => {});
      try {
        await hog.connect();
        hogs.push(hog);
      } catch {
        break;
      }
    }
    const response = await app.get("/inc");
    expect(response.status).toBe(500);
    expect(await response.text()).not.toMatch(/postgres|connection|slots|SQL/i);
    await Promise.all(hogs.map((hog) => hog.end()));
    await app.recovered();
  });
});

describe.each(driverNames)("a statement of %s", (driver) => {
  it("that is cancelled or waits too long for a lock is not tried again, and its neighbours are right", async () => {
    const server = await startServer();
    for (const setting of ["statement_timeout", "lock_timeout"]) {
      const app = await startApp(openClient(driver, withSettings(server.url, { [setting]: "100" })));
      const locked = cookieOf(await app.get("/inc"));
      const free = cookieOf(await app.get("/inc"));
      const id = (await app.manager.load(locked?.slice("session=".length))).id;
      const holder = new pg.Client(server.url);
      await holder.connect();
      await holder.query(`BEGIN; SELECT FROM sessions WHERE token = '${id}' FOR UPDATE`);
      const [stuck, right] = await Promise.all([app.get("/inc", locked), app.get("/inc", free)]);
      expect(stuck.status).toBe(500);
      expect(stuck.headers.getSetCookie()).toEqual([]);
      expect(right.status).toBe(200);
      await holder.query("COMMIT");
      await holder.end();
      expect(await (await app.get("/inc", locked)).json()).toMatchObject({ n: 2 });
      await app.recovered();
    }
  });

  it("is serializable by the database's default: parallel requests lose nothing", async () => {
    const server = await startServer({ default_transaction_isolation: "serializable" });
    const app = await startApp(openClient(driver, server.url));
    const other = await startApp(openClient(driver, server.url));
    const cookie = cookieOf(await app.get("/inc"));
    const responses = await Promise.all(
      Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? app : other).get(`/set/k${n}`, cookie)),
    );
    const right = responses.filter(({ status }) => status === 200).length;
    const { keys } = (await (await app.get("/get", cookie)).json()) as { keys: string[] };
    expect(keys.length).toBe(right + 1);
    expect(right).toBeGreaterThan(50);
  });
});

describe.each(driverNames)("the answer to a commit of %s that is cut off", (driver) => {
  for (const [action, tag] of Object.entries({ inc: "UPDATE", renew: "INSERT", logout: "UPDATE" })) {
    it(`leaves client and table agreed: ${action}`, async () => {
      const server = await startServer();
      const proxy = await startCutProxy(server.port);
      onTestFinished(() => proxy.close());
      const app = await startApp(openClient(driver, proxy.through(server.url)));
      const cookie = cookieOf(await app.get("/inc"));
      proxy.cutAfter(tag);
      const response = await app.get(`/${action}`, cookie);
      expect(proxy.cuts).toBe(1);
      expect(response.status).toBe(200);
      const [set] = response.headers.getSetCookie();
      const now = (await (await app.get("/get", set?.split(";")[0] ?? cookie)).json()) as { n?: number };
      expect(now.n).toBe({ inc: 2, renew: 1, logout: undefined }[action]);
      if (action === "renew") expect(await (await app.get("/get", cookie)).json()).toEqual({ keys: [] });
    });
  }
});
