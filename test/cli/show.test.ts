import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ExpressSessionStore } from "../../src/express-session.ts";
import { PgStore, SessionManager } from "../../src/index.ts";
import { encrypted, scsJson } from "../../src/codecs.ts";
import { connectPgSimpleTable } from "../support/connect-pg-simple.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";
import { SCS_TABLE } from "../support/global-setup.ts";
import { pgstore, pgstoreJson } from "./run.ts";

interface Host {
  url: string;
  store: PgStore;
  close(): Promise<void>;
}

/** A store with some users, which the command line can open by a URL. */
async function fill(store: PgStore): Promise<void> {
  await store.migrate();
  const manager = new SessionManager(store, { idleTimeout: "1h", maxSessionsPerUser: Number.POSITIVE_INFINITY });
  for (const [user, many] of [
    ["ada", 3],
    ["Evil\u001B[31m", 1],
    ["grace", 2],
  ] as const) {
    for (let n = 0; n < many; n++) {
      const session = await manager.load(undefined);
      session.set("cart", [{ sku: "hunter2" }]);
      session.set("seen", new Date(0));
      session.set("big", 12n);
      await session.login(user, { remember: n === 0 ? "30d" : undefined, tags: ["web"] });
      await manager.commit(session);
    }
  }
}

const hosts: Record<string, () => Promise<Host>> = {
  PostgreSQL: async () => {
    const database = await createDatabase({ template: false });
    const store = new PgStore(database.pool(), { cleanupInterval: 0 });
    await fill(store);
    return { url: database.url, store, close: async () => (await store.close(), database.drop()) };
  },
  PGlite: async () => {
    const folder = mkdtempSync(join(tmpdir(), "pgstore-show-"));
    const url = join(folder, "data");
    const db = await openPglite({ dataDir: url });
    const store = new PgStore(db, { cleanupInterval: 0 });
    await fill(store);
    const ids = (await store.users?.list("ada", 10)) ?? [];
    await store.close();
    await db.close();
    const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    // Only one process can have the folder open, so the ids are kept.
    const users = { list: () => Promise.resolve(ids) };
    return { url, store: { users } as never, close: () => Promise.resolve(remove()) };
  },
};

for (const [name, open] of Object.entries(hosts)) {
  describe(`on ${name}`, () => {
    let host: Host;
    beforeAll(async () => (host = await open()), 120_000);
    afterAll(() => host?.close());

    // Each command opens the folder of PGlite anew, which takes long, so few of them run on it.
    const isFast = name === "PostgreSQL";

    it("users lists them with their sessions", async () => {
      const { json } = await pgstoreJson("users", "--url", host.url);
      expect(json).toMatchObject({
        users: [
          { user: "Evil\u001B[31m", sessions: 1 },
          { user: "ada", sessions: 3 },
          { user: "grace", sessions: 2 },
        ],
        next: null,
      });
    }, 120_000);

    if (isFast) {
      it("users lists a page at a time, in each order", async () => {
        const run = async (...args: string[]) => (await pgstoreJson("users", "--url", host.url, ...args)).json;
        const seen: unknown[] = [];
        let after: string[] = [];
        for (let pages = 1; pages <= 3; pages++) {
          const page = await run("--limit", "1", ...after);
          seen.push(...(page["users"] as { user: string }[]).map(({ user }) => user));
          after = ["--after", String(page["next"])];
          expect(page["next"] === null).toBe(pages === 3);
        }
        expect(seen).toEqual(["Evil\u001B[31m", "ada", "grace"]);
        const most = await run("--sort", "sessions", "--limit", "2");
        expect(most).toEqual({
          users: [
            { user: "ada", sessions: 3, lastLogin: expect.any(String) as string },
            { user: "grace", sessions: 2, lastLogin: expect.any(String) as string },
          ],
          sorted: "all",
          next: "2",
        });
        const last = await run("--sort", "login", "--limit", "2", "--after", "2");
        expect(last).toMatchObject({ users: [{ user: "ada" }], next: null });
        const { out } = await pgstore("users", "--url", host.url, "--prefix", "E");
        expect(out).toMatch(/^USER +SESSIONS +LAST LOGIN\nEvil\\u\{1b\}\[31m {2}1 +\d{4}-\S+ \S+Z\n$/);
        expect(await pgstore("users", "--url", host.url, "--prefix", "nobody")).toMatchObject({
          code: 0,
          out: "No user.\n",
        });
      });
    }

    it("show tells of a session by its id, or its beginning and its user, and never a value", async () => {
      const id = (await host.store.users?.list("ada", 10))?.at(-1)?.id ?? "";
      const ways = [
        ["--id", id.slice(0, 12), "--user", "ada"],
        ["--id", id],
      ];
      for (const which of ways.slice(0, isFast ? 2 : 1)) {
        const { code, out } = await pgstore("show", "--url", host.url, ...which);
        expect(code).toBe(0);
        expect(out).toMatch(new RegExp(`^Session ${id.slice(0, 12)}\n {2}User +ada\n {2}Logged in +\\d`));
        expect(out).toMatch(/\n {2}Ends +\S+ \S+Z, remembered\n {2}Tags +web\n {2}Data +\d+ bytes, 3 keys\n/);
        expect(out).toMatch(/\nKEY +TYPE +SIZE\nbig +bigint +2 bytes\ncart +array +19 bytes\nseen +date +22 bytes\n$/);
        const json = await pgstore("show", "--url", host.url, ...which, "--json");
        for (const text of [out, json.out]) expect(text).not.toMatch(new RegExp(`hunter2|${id.slice(0, 13)}`));
        expect(JSON.parse(json.out)).toMatchObject({
          session: {
            user: "ada",
            remembered: true,
            tags: ["web"],
            keys: [{ key: "big", type: "bigint", bytes: 2 }, {}, {}],
          },
        });
      }
      if (!isFast) return;
      const others = await pgstore("show", "--url", host.url, "--id", id, "--user", "grace");
      expect([others.code, others.out]).toEqual([1, "There is no such live session.\n"]);
      const short = await pgstore("show", "--url", host.url, "--id", id.slice(0, 12));
      expect([short.code, short.out]).toEqual([
        1,
        "There is no such live session. A shortened id also needs --user.\n",
      ]);
    }, 120_000);
  });
}

describe("users and show", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let where: string[];
  beforeAll(async () => {
    database = await createDatabase({ template: false });
    pool = database.pool();
    where = ["--url", database.url];
  });
  afterAll(() => database.drop());

  it("show finds a session under the id that it had before a renewal, and says how one has ended", async () => {
    const store = new PgStore(pool, { table: "renewed", cleanupInterval: 0 });
    await store.migrate();
    const manager = new SessionManager(store);
    const session = await manager.load(undefined);
    await session.login("ada");
    await manager.commit(session);
    const before = session.id ?? "";
    await session.renewToken();
    await manager.commit(session);
    const after = session.id ?? "";
    const run = (id: string) => pgstore("show", "--id", id, "--table", "renewed", ...where);
    expect((await run(before)).out).toContain(`Session ${after.slice(0, 12)}\n`);
    await manager.destroyById(after);
    expect(await run(after)).toMatchObject({
      code: 1,
      out: `Session ${after.slice(0, 12)} was revoked a short while ago.\n`,
    });
    expect(await pgstore("show", "--id", "", "--table", "renewed", ...where)).toMatchObject({ code: 2 });
    await store.close();
  });

  it("show says when only the application can read the data", async () => {
    const store = new PgStore(pool, { table: "sealed", cleanupInterval: 0 });
    await store.migrate();
    const manager = new SessionManager(store, { codec: encrypted(scsJson, [new Uint8Array(32).fill(7)]) });
    const session = await manager.load(undefined);
    session.set("a", 1);
    await manager.commit(session);
    const { code, out } = await pgstore("show", "--id", session.id ?? "", "--table", "sealed", ...where);
    expect(code).toBe(0);
    expect(out).toContain("  User  not logged in\n");
    expect(out).toContain("The keys can't be listed: the data are encrypted, or in a codec of the application.\n");
    await store.close();
  });

  it("show reads sessions of express-session, on both tables, and tables of SCS", async () => {
    for (const sql of connectPgSimpleTable('"session"')) await pool.query(sql);
    await pool.query(
      `INSERT INTO session VALUES ('the sid', '{"cookie":{},"views":3}', current_timestamp + interval '1 h')`,
    );
    const theirs = await pgstoreJson("show", "--layout", "connect-pg-simple", "--id", "the sid", ...where);
    expect(theirs.json).toMatchObject({
      session: { id: "the sid", user: null, keys: [{ key: "views", type: "number", bytes: 1 }] },
    });
    const store = new PgStore(pool, { table: "express", cleanupInterval: 0 });
    await store.migrate();
    const express = new ExpressSessionStore({ store });
    await new Promise((resolve) => express.set("sid", { cookie: { maxAge: 60_000 }, views: 3 } as never, resolve));
    const { rows } = await pool.query<{ token: string }>("SELECT token FROM express");
    const ours = await pgstoreJson("show", "--table", "express", "--id", rows[0]?.token ?? "", ...where);
    expect(ours.json).toMatchObject({ session: { keys: [{ key: "views", type: "number", bytes: 1 }] } });
    await store.close();
    await pool.query(SCS_TABLE);
    await pool.query(
      `INSERT INTO sessions VALUES ('go', convert_to('{"data":{"n":1},"deadline":0}', 'UTF8'), current_timestamp + interval '1 h')`,
    );
    const scs = await pgstoreJson("show", "--id", "go", ...where);
    expect(scs.json).toMatchObject({ session: { user: null, keys: [{ key: "n", type: "number", bytes: 1 }] } });
  });

  it("word a missing table and missing columns as every command does", async () => {
    const missing =
      'table "none" does not exist: run npx pgstore migrate, or name another table with --table and --schema';
    for (const command of [
      "stats",
      "users",
      "list --user a",
      "show --id a",
      "revoke --user a --yes",
      "revoke --id a --yes",
      "revoke --all --yes",
      "cleanup",
      "cleanup --dry-run",
      "import --from scs",
    ]) {
      const { code, err } = await pgstore(...command.split(" "), "--table", "none", ...where);
      expect([code, err], command).toEqual([4, `pgstore: ${missing}\n`]);
    }
    const check = (await pgstoreJson("check", "--table", "none", ...where)).json;
    const [{ text, remedy } = {}] = check["findings"] as { text?: string; remedy?: string }[];
    expect(`${text}: ${remedy}`).toBe(missing);
    await pool.query(SCS_TABLE.replaceAll("sessions", "plain"));
    for (const command of ["users", "list --user a", "show --id a --user a", "revoke --user a --yes"]) {
      const { code, err } = await pgstore(...command.split(" "), "--table", "plain", ...where);
      expect([code, err], command).toEqual([
        4,
        'pgstore: table "plain" has no columns about users: run npx pgstore migrate to add them\n',
      ]);
    }
    expect((await pgstore("users", "--layout", "connect-pg-simple", ...where)).code).toBe(2);
  });
});
