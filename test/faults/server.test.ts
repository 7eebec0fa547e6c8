import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import postgres from "postgres";
import { describe, expect, it, onTestFinished } from "vitest";
import { PgStore, StoreUnavailableError } from "../../src/index.ts";
import { startCutProxy } from "../support/cut-proxy.ts";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { cookieOf } from "../support/serve.ts";
import { load, startApp } from "./support.ts";

const soon = (): Date => new Date(Date.now() + 60_000);
const bytes = new Uint8Array([1]);

async function startServer(settings: Record<string, string> = {}): Promise<PostgresServer> {
  const server = await startPostgres({
    settings: { listen_addresses: "127.0.0.1", fsync: "off", max_connections: "100", ...settings },
  });
  onTestFinished(() => server.stop());
  const pool = new pg.Pool({ connectionString: server.url, max: 1 });
  await new PgStore(pool, { cleanupInterval: 0 }).migrate();
  await pool.end();
  return server;
}

async function ask(server: PostgresServer, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(server.url);
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

describe("the server under load", () => {
  for (const mode of ["fast", "immediate"] as const) {
    it(`restarts (${mode}): answers are right or errors, and it is used again without a restart of ours`, async () => {
      const server = await startServer();
      const app = await startApp(server.url);
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
    const app = await startApp(server.url);
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

  for (const driver of ["node-postgres", "postgres.js"] as const) {
    it(`terminates a connection every 50 ms: 99 of 100 requests are right, with ${driver}`, async () => {
      const server = await startServer();
      const sql = postgres(server.url, { max: 5, onnotice: () => {}, fetch_types: false });
      onTestFinished(() => sql.end({ timeout: 1 }));
      const app = await startApp(server.url, {}, driver === "postgres.js" ? { db: sql } : {});
      const seen = { requests: 0, killed: 0, isOver: false };
      const loading = load(app, 8, () => seen.requests++ > 1000 && seen.killed > 10);
      const killer = new pg.Client(server.url);
      await killer.connect();
      const kill =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1";
      const killing = (async () => {
        while (!seen.isOver) {
          seen.killed += (await killer.query(kill)).rowCount ?? 0;
          await sleep(50);
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
  }

  it("has no connection left: an error in time, and used as soon as there is one", async () => {
    const server = await startServer({ max_connections: "8", superuser_reserved_connections: "1" });
    const app = await startApp(server.url, {}, { queryTimeout: "2s" });
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

describe("a statement", () => {
  it("that is cancelled or waits too long for a lock is not tried again, and its neighbours are right", async () => {
    const server = await startServer();
    for (const setting of ["statement_timeout", "lock_timeout"]) {
      const app = await startApp(server.url, { options: `-c ${setting}=100` });
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
    const app = await startApp(server.url);
    const other = await startApp(server.url);
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

describe("the answer to a commit that is cut off", () => {
  for (const [action, tag] of Object.entries({ inc: "UPDATE", renew: "INSERT", logout: "UPDATE" })) {
    it(`leaves client and table agreed: ${action}`, async () => {
      const server = await startServer();
      const proxy = await startCutProxy(server.port);
      onTestFinished(() => proxy.close());
      const app = await startApp(proxy.through(server.url));
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

describe("a failover", () => {
  /** A standby of the server: a copy of its folder that follows it. */
  async function standbyOf(server: PostgresServer, port = server.port): Promise<PostgresServer> {
    const standby = await startPostgres();
    onTestFinished(() => standby.stop());
    await standby.kill();
    rmSync(standby.dataDir, { recursive: true, force: true });
    const client = new pg.Client(server.url);
    await client.connect();
    await client.query("SELECT pg_backup_start('standby', true)");
    cpSync(server.dataDir, standby.dataDir, {
      recursive: true,
      filter: (path) => !/postmaster\.(?:pid|opts)$/.test(path),
    });
    const { rows } = await client.query<{ labelfile: string }>(
      "SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)",
    );
    await client.end();
    writeFileSync(join(standby.dataDir, "backup_label"), rows[0]?.labelfile ?? "");
    writeFileSync(join(standby.dataDir, "standby.signal"), "");
    const settings = [`primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres'`, "hot_standby = on"];
    writeFileSync(join(standby.dataDir, "postgresql.auto.conf"), `${settings.join("\n")}\n`);
    if (process.getuid?.() === 0) execFileSync("chown", ["-R", "nobody", standby.dataDir]);
    execFileSync("chmod", ["700", standby.dataDir]);
    await standby.restart("fast");
    return standby;
  }

  it("makes the standby the server: errors until then, writes by the same pool afterwards, nothing acknowledged lost", async () => {
    const server = await startServer();
    const standby = await standbyOf(server);
    // The application's address leads to the server, and after the failover to the standby.
    const proxy = await startCutProxy(standby.port);
    onTestFinished(() => proxy.close());
    const before = await startApp(server.url);
    const cookie = cookieOf(await before.get("/inc"));
    await before.get("/inc", cookie);
    const counted = async (): Promise<unknown> =>
      (await ask(standby, "SELECT count(*)::int AS n FROM sessions"))[0]?.["n"];
    await expect.poll(counted, { timeout: 10_000 }).toBe(1);

    const app = await startApp(proxy.through(standby.url));
    expect(await (await app.get("/get", cookie)).json()).toMatchObject({ n: 2 });
    const refused = await app.get("/inc", cookie);
    expect(refused.status).toBe(500);
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

  it("to a standby that has not got everything loses what was acknowledged, a log-out too: see the threat model", async () => {
    const server = await startServer();
    const line = await startCutProxy(server.port);
    onTestFinished(() => line.close());
    const standby = await standbyOf(server, line.port);
    const before = await startApp(server.url);
    const cookie = cookieOf(await before.get("/inc"));
    const counted = async (): Promise<unknown> =>
      (await ask(standby, "SELECT count(*)::int AS n FROM sessions"))[0]?.["n"];
    await expect.poll(counted, { timeout: 10_000 }).toBe(1);
    line.refuse(true);
    line.killAll();
    expect((await before.get("/logout", cookie)).status).toBe(200);
    await server.kill();
    await ask(standby, "SELECT pg_promote()");
    const after = await startApp(standby.url);
    await after.recovered();
    expect(await (await after.get("/get", cookie)).json()).toMatchObject({ n: 1 });
  });
});

const canMount = process.getuid?.() === 0 && process.platform === "linux";
if (!canMount) console.warn("Only root can mount a small disk, so the test of a full one is skipped");

describe.skipIf(!canMount)("a full disk", () => {
  it("fails writes in time, leaves reads alone, and is forgotten when there is room again", async () => {
    const server = await startServer();
    const disk = mkdtempSync(join(tmpdir(), "pgstore-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", disk]);
    onTestFinished(() => {
      execFileSync("umount", ["-l", disk]);
      rmSync(disk, { recursive: true, force: true });
    });
    const space = join(disk, "space");
    execFileSync("install", ["-d", "-o", "nobody", "-m", "700", space]);
    await ask(server, `CREATE TABLESPACE small LOCATION '${space}'`);
    await ask(server, "ALTER TABLE sessions SET TABLESPACE small");
    const app = await startApp(server.url);
    const cookie = cookieOf(await app.get("/inc"));
    const large = new Uint8Array(1_000_000).map(() => Math.floor(Math.random() * 256));
    let failure: unknown;
    for (let n = 0; n < 30 && failure === undefined; n++) {
      failure = await app.store.save(`large ${n}`, large, soon()).then(
        () => undefined,
        (error: unknown) => error,
      );
    }
    expect(failure).toBeInstanceOf(StoreUnavailableError);
    expect(String(failure)).toContain("53100");
    expect(await (await app.get("/get", cookie)).json()).toMatchObject({ n: 1 });
    execFileSync("mount", ["-o", "remount,size=64m", disk]);
    await app.recovered();
  });
});
