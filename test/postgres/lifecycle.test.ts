import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStore, PgStore, SchemaError, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

const run = promisify(execFile);
const source = fileURLToPath(new URL("../../src/index.ts", import.meta.url));

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createDatabase();
  folder = await mkdtemp(join(tmpdir(), "pgstore-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await database.drop();
});

/** Runs a script in a process of its own; rejects when it does not end by itself within 20 s. */
async function script(code: string, args: string[] = []): Promise<string> {
  const text = `import pg from "pg"; import { MemoryStore, openStore, PgStore, SessionManager } from ${JSON.stringify(source)};
    const url = process.argv[1]; ${code}`;
  const { stdout } = await run(
    process.execPath,
    [...args, "--import", "tsx", "--input-type=module", "-e", text, database.url],
    { timeout: 20_000, cwd: fileURLToPath(new URL("../..", import.meta.url)) },
  );
  return stdout.trim();
}

describe("a process", () => {
  it("ends by itself when its pool ends, without stopping or closing the store", async () => {
    const out = await script(`
      const pool = new pg.Pool({ connectionString: url });
      const store = new PgStore(pool, { cleanupInterval: 1000 });
      const session = await new SessionManager(store).load();
      await store.find("x");
      await pool.end();
      console.log("last line");`);
    expect(out).toBe("last line");
  });

  it("leaves no timer, socket or handle after close", async () => {
    const out = await script(`
      const before = process.getActiveResourcesInfo().toSorted();
      const pool = new pg.Pool({ connectionString: url });
      const store = new PgStore(pool, { cleanupInterval: 10 });
      const memory = new MemoryStore({ cleanupInterval: 10 });
      await store.find("x");
      await new Promise((resolve) => setTimeout(resolve, 50));
      await store.close();
      await memory.close();
      await pool.end();
      await new Promise((resolve) => setTimeout(resolve, 50));
      const left = process.getActiveResourcesInfo().toSorted();
      console.log(JSON.stringify(left) === JSON.stringify(before) ? "nothing left" : left.join());`);
    expect(out).toBe("nothing left");
  });

  it("keeps nothing of a store that was stopped", async () => {
    const out = await script(
      `
      const db = { query: async () => ({ rows: [] }) };
      const collected = new Set();
      const registry = new FinalizationRegistry((name) => collected.add(name));
      (() => {
        for (const name of ["stopped", "memory"]) {
          const store = name === "memory" ? new MemoryStore({ cleanupInterval: 5 }) : new PgStore(db, { cleanupInterval: 5 });
          registry.register(store, name);
          store.stopCleanup();
        }
      })();
      for (let n = 0; n < 50 && collected.size < 2; n++) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      console.log([...collected].toSorted().join());`,
      ["--expose-gc"],
    );
    expect(out).toBe("memory,stopped");
  });
});

describe("the cleanup", () => {
  it("removes expired rows at the interval", async () => {
    const pool = database.pool();
    await using store = new PgStore(pool, { cleanupInterval: 20 });
    await store.save("expired", new Uint8Array([1]), new Date(0));
    await expect.poll(async () => (await pool.query("SELECT 1 FROM sessions")).rowCount).toBe(0);
  });

  it("makes no query after it was stopped, and none at an interval of 0", async () => {
    let queries = 0;
    const db = {
      query: async () => {
        queries++;
        return { rows: [] };
      },
    };
    const stopped = new PgStore(db, { cleanupInterval: 2 });
    const never = new PgStore(db, { cleanupInterval: 0 });
    await expect.poll(() => queries).toBeGreaterThan(1);
    stopped.stopCleanup();
    never.stopCleanup();
    const before = queries;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(queries).toBe(before);
  });

  it("takes more than a page", async () => {
    const pool = database.pool();
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await pool.query(
      "INSERT INTO sessions SELECT 'e' || n, '\\x01', current_timestamp - interval '1 day' FROM generate_series(1, 2500) n",
    );
    await store.save("live", new Uint8Array([1]), new Date(Date.now() + 60_000));
    expect(await store.deleteExpired()).toBe(2500);
    expect(await store.find("live")).toBeDefined();
  });
});

describe("openStore", () => {
  it("opens PostgreSQL by its URL, creates the table and closes the pool it has made", async () => {
    const empty = await createDatabase({ template: false });
    const store = await openStore(empty.url);
    expect(store.location).toMatch(/^PostgreSQL .+\/\w+$/);
    expect(await store.check()).toEqual([]);
    await store.close();
    await store.close();
    await empty.drop();
  });

  it("opens a folder with PGlite, and finds there what was left", async () => {
    const path = join(folder, "data");
    for (const target of [path, `file:${path}`, `file://${path}`]) {
      const store = await openStore(target, { cleanupInterval: 0 });
      expect(store.location).toContain(path);
      expect((await stat(path)).mode & 0o077).toBe(0);
      const manager = new SessionManager<{ n: number }>(store, { hashTokens: false });
      const { value } = await manager.iterate().next();
      const session = value ?? (await manager.load());
      session.update("n", (n = 0) => n + 1);
      await manager.commit(session);
      if (target.startsWith("file://")) expect(session.get("n")).toBe(3);
      await store.close();
      await chmod(path, 0o755);
    }
  }, 60_000);

  it("lets one process at a time into a folder, and nobody else of the machine", async () => {
    const path = join(folder, "locked");
    const store = await openStore(path, { cleanupInterval: 0 });
    await expect(openStore(path)).rejects.toThrow(`the folder ${path} is in use by process ${process.pid}`);
    await expect(openStore(path)).rejects.toThrow(StoreUnavailableError);
    await store.close();
    expect((await stat(path)).mode & 0o077).toBe(0);
    const file = join(folder, "file");
    await writeFile(file, "");
    await expect(openStore(file)).rejects.toThrow(`PGlite can't open the folder ${file}`);
    await expect(openStore(file)).rejects.toThrow(StoreUnavailableError);
  }, 60_000);

  it("takes DATABASE_URL by default", async () => {
    const out = await script(`
      process.env.DATABASE_URL = url;
      const store = await openStore();
      console.log(store.location === "PostgreSQL " + new URL(url).host + new URL(url).pathname);
      await store.close();`);
    expect(out).toBe("true");
  });

  it("says what is wrong, and never shows a password", async () => {
    const url = new URL(database.url);
    url.password = "hunter2";
    const opened = await openStore(url.href);
    expect(opened.location).not.toContain("hunter2");
    await opened.close();
    await expect(openStore("postgres://u:hunter2@:bad")).rejects.toThrow(/^url: expected postgres:[^]*can't be read/);
    await expect(openStore("postgre://u:hunter2@127.0.0.1/x")).rejects.toThrow(
      /^url: expected postgres:[^]*another scheme/,
    );
    expect(existsSync("postgre:")).toBe(false);
    await expect(openStore(1 as never)).rejects.toThrow(/^url: /);
    await expect(openStore("postgres://u:hunter2@127.0.0.1:1/x")).rejects.toThrow(StoreUnavailableError);
    await database.admin().query("CREATE TABLE theirs (id int)");
    await expect(openStore(database.url, { table: "theirs" })).rejects.toThrow(SchemaError);
  });
});
