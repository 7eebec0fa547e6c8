import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PgStore } from "../../src/index.ts";
import { sha256 } from "../../src/lib/core/token.ts";
import { fieldsOf } from "../dashboard/support.ts";
import { connectPgSimpleTable } from "../support/connect-pg-simple.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { collect, makeProgram, type Program } from "./run.ts";

/** More than three pages of either command: a signal that comes in the second may be noticed in the third. */
const ROWS = 9000;

let database: TestDatabase;
let program: Program;
let where: string[];
beforeAll(async () => {
  [database, program] = await Promise.all([createDatabase({ template: false }), makeProgram()]);
  where = ["--url", database.url];
  const store = new PgStore(database.pool(), { cleanupInterval: 0 });
  await store.migrate();
  await store.create("an id", new Uint8Array([1]), new Date(Date.now() + 3_600_000), { owner: { userId: "ada" } });
});
afterAll(async () => {
  await database?.drop();
});

describe("npx pgstore", () => {
  it("runs each command, with one JSON document on standard output", async () => {
    const scs = ["import", "--from", "scs", "--from-table", "sessions_copy"];
    await database.pool().query("CREATE TABLE sessions_copy (LIKE sessions)");
    const commands = [["migrate"], ["check"], ["stats"], ["list", "--user", "ada"], ["cleanup", "--dry-run"], scs];
    await Promise.all(
      commands.map(async (command) => {
        const { code, out, err } = await program.run([...command, ...where, "--json"]);
        expect([code, err], command.join(" ")).toEqual([0, ""]);
        expect(JSON.parse(out)).toBeTypeOf("object");
      }),
    );
  });

  it("prints the same SQL whatever the password is", async () => {
    const print = (password: string) =>
      program.run(["migrate", "--print"], { DATABASE_URL: `postgres://me:${password}@db/app` });
    const [plain, ...others] = await Promise.all(["s3cr3t-of-no-word", "sessions", "pgstore", "text"].map(print));
    expect(plain?.out).toContain("CREATE TABLE");
    for (const other of others) expect(other).toEqual(plain);
  });

  it("reads .env, and the variables of psql where no URL is given", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pgstore-env-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const { hostname, port, username, password, pathname } = new URL(database.url);
    const psql = {
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: username,
      PGPASSWORD: password,
      PGDATABASE: pathname.slice(1),
    };
    const stats = (env: Record<string, string>, cwd?: string) => program.run(["stats", "--json"], env, cwd);
    const locations = [stats(psql)];
    writeFileSync(join(folder, ".env"), `PGAPPNAME=x\nDATABASE_URL="${database.url}"\n`);
    locations.push(stats({}, folder));
    // What the environment says comes first.
    const wrong = await stats({ DATABASE_URL: "postgres://nobody:s3cr3t@127.0.0.1:1/none" }, folder);
    expect(wrong.code).toBe(3);
    expect(wrong.out + wrong.err).not.toContain("s3cr3t");
    for (const { code, out } of await Promise.all(locations)) {
      expect([code, (JSON.parse(out) as { location: string }).location]).toEqual([
        0,
        `PostgreSQL ${hostname}:${port}${pathname}`,
      ]);
    }
    expect(await program.run(["stats"], { PGPASSWORD: "s3cr3t" })).toMatchObject({
      code: 2,
      err: expect.stringContaining("PGHOST") as string,
    });
  });

  it("makes no folder of what is none, and shows no password of it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pgstore-none-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const texts = [
      "host=127.0.0.1 port=1 user=u password=s3cr3t dbname=d",
      "user = 'u' password = 's3cr3t'",
      "u:s3cr3t@127.0.0.1:1/d",
      "//u:s3cr3t@127.0.0.1:1/d",
      "postgres:s3cr3t@127.0.0.1:1/d",
      "postgres://u:s3cr3t/1@127.0.0.1:1/d",
      "postgres://u:1/s3cr3t@127.0.0.1:1/d",
      "postgres://u:1?s3cr3t@127.0.0.1:1/d",
      "postgres://u:1#s3cr3t@127.0.0.1:1/d",
      "mysql://u:s3cr3t@127.0.0.1:1/d",
      "postgres://u:s3cr3t@127.0.0.1:1/d",
    ];
    const runs = texts.flatMap((url) => [
      program.run(["migrate", "--debug"], { DATABASE_URL: url }, folder),
      program.run(["check", "--json", "--debug", "--url", url], {}, folder),
    ]);
    for (const [index, { code, out, err }] of (await Promise.all(runs)).entries()) {
      expect(code, texts[index >> 1]).toBeGreaterThanOrEqual(2);
      expect(out + err, texts[index >> 1]).not.toContain("s3cr3t");
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it("ends no session when nobody is there to confirm it", async () => {
    const refused = await Promise.all(
      [["--all"], ["--user", "ada"], ["--id", "an id"]].map((which) => program.run(["revoke", ...which, ...where])),
    );
    for (const said of refused) {
      expect(said).toEqual({
        code: 2,
        out: "",
        err: "pgstore: Refusing to revoke sessions without confirmation. Pass --yes to confirm.\n",
      });
    }
    const { out } = await program.run(["list", "--user", "ada", ...where]);
    expect(out).toContain("an id");
  });

  it.each([
    // A row of the second page, however large that is, and which rows are left.
    ["cleanup", "removed", "- interval '1 hour'", "0600", "true"],
    ["revoke --all --yes", "ended", "+ interval '1 hour'", "1100", "expiry > current_timestamp"],
  ])("%s stops in good order at Ctrl-C, and says how far it came", async (command, what, expiry, row, isLeft) => {
    const table = what;
    const pool = database.pool();
    const store = new PgStore(pool, { table, cleanupInterval: 0 });
    await store.migrate();
    await pool.query(`INSERT INTO ${table} SELECT lpad(n::text, 4, '0'), '{}', current_timestamp ${expiry} + n * interval '1 ms'
      FROM generate_series(1, ${ROWS}) n`);
    // The statement that comes to this row waits for a lock. That of a row would not do: the cleanup skips locked rows.
    await pool.query(`
      CREATE FUNCTION ${table}_wait() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN coalesce(NEW, OLD); END $$;
      CREATE TRIGGER wait BEFORE UPDATE OR DELETE ON ${table} FOR EACH ROW WHEN (OLD.token = '${row}')
        EXECUTE FUNCTION ${table}_wait()`);
    const blocker = await pool.connect();
    onTestFinished(() => blocker.release(true));
    await blocker.query("SELECT pg_advisory_lock(1)");
    const child = program.start([...command.split(" "), ...where, "--table", table, "--json"]);
    onTestFinished(() => void child.kill("SIGKILL"));
    const said = collect(child);
    const ended = once(child, "close") as Promise<[number | null]>;
    const waiting = `SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
      WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted`;
    await expect.poll(async () => (await pool.query(waiting)).rowCount, { timeout: 30_000 }).toBe(1);
    child.kill("SIGINT");
    await blocker.query("SELECT pg_advisory_unlock(1)");
    expect(await ended, said().err).toEqual([1, null]);
    const json = JSON.parse(said().out) as Record<string, number>;
    expect(json).toMatchObject({ interrupted: true });
    const { rows } = await pool.query<{ left: number }>(`SELECT count(*)::int AS left FROM ${table} WHERE ${isLeft}`);
    const left = rows[0]?.left ?? 0;
    expect(json[what]).toBe(ROWS - left);
    expect(json[what]).toBeGreaterThan(0);
    expect(left).toBeGreaterThan(0);
  });

  it("tells no password, wherever it comes from", async () => {
    const urls = [
      "postgres://me:sesame%2377@127.0.0.1:1/app",
      "postgres://me:sesame@77@127.0.0.1:1/app",
      "postgres://127.0.0.1:1/app?user=me&password=sesame77",
      "postgres://me:sesame77@[broken/app",
      "mysql://me:sesame77@127.0.0.1/app",
    ];
    const runs = urls.flatMap((url) => [
      program.run(["check", "--json", "--debug", "--url", url]),
      program.run(["check", "--debug"], { DATABASE_URL: url }),
      program.run(["list", url]),
      program.run([url]),
    ]);
    for (const { code, out, err } of await Promise.all(runs)) {
      expect(code).toBeGreaterThan(1);
      expect(out + err).not.toMatch(/sesame|77@/);
      expect(err).toMatch(/^pgstore: .+\n/);
    }
  });

  it("serves the demo until it is told to stop", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pgstore-cli-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const child = program.start(["demo", "--port", "0", "--table", "demo's", "--json", ...where]);
    onTestFinished(() => void child.kill("SIGKILL"));
    const said = collect(child);
    await Promise.race([once(child.stdout ?? child, "data"), once(child, "close")]);
    const { url, location } = JSON.parse(said().out) as { url: string; location: string };
    expect(location).toContain(database.name);
    const response = await fetch(url.replace("localhost", "127.0.0.1"));
    expect(response.status).toBe(200);
    await response.text();
    child.kill("SIGTERM");
    expect(await once(child, "close")).toEqual([0, null]);
    expect(said().err).toBe("");
  });

  it("serves the dashboard to the first who opens its link, until it is told to stop", async () => {
    const child = program.start(["dashboard", "--json", ...where]);
    onTestFinished(() => void child.kill("SIGKILL"));
    const said = collect(child);
    await Promise.race([once(child.stdout ?? child, "data"), once(child, "close")]);
    const { url } = JSON.parse(said().out) as { url: string };
    expect(new URL(url).hostname).toBe("127.0.0.1");
    const opened = await fetch(url, { redirect: "manual" });
    expect(opened.status).toBe(303);
    const home = new URL(opened.headers.get("location") ?? "", url).href;
    expect((await fetch(home)).status).toBe(403);
    const cookie = opened.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    expect(await (await fetch(home, { headers: { cookie } })).text()).toContain("Live sessions");
    expect(await (await fetch(`${home}user?id=ada`, { headers: { cookie } })).text()).toContain(sha256("an id"));
    expect((await fetch(url, { redirect: "manual" })).status).toBe(403);
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([0, null]);
    expect(said().err).toBe("");
  });

  it("serves it on connect-pg-simple's table, which knows no users", async () => {
    const pool = database.pool({ max: 1 });
    for (const sql of connectPgSimpleTable('"session"')) await pool.query(sql);
    await pool.query(
      `INSERT INTO session SELECT 'sid ' || n, '{"cookie":{}}', current_timestamp + interval '10 minutes' * (n - 2) FROM generate_series(1, 6) n`,
    );
    const layout = ["--layout", "connect-pg-simple", "--url", database.url];
    const child = program.start(["dashboard", "--json", ...layout]);
    onTestFinished(() => void child.kill("SIGKILL"));
    const said = collect(child);
    await Promise.race([once(child.stdout ?? child, "data"), once(child, "close")]);
    const { url } = JSON.parse(said().out) as { url: string };
    const opened = await fetch(url, { redirect: "manual" });
    const home = new URL(opened.headers.get("location") ?? "", url).href;
    const own = opened.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const page = async (path: string) => {
      const response = await fetch(`${home}${path}`, { headers: { cookie: own } });
      return { status: response.status, text: await response.text(), cookies: response.headers.getSetCookie() };
    };
    const overview = await page("");
    expect([overview.status, overview.text]).toEqual([200, expect.stringContaining("not known on such a table")]);
    const users = (await page("users?q=ada")).text;
    expect(users).toContain("This store can't look for users");
    expect(users).not.toContain("user?id");
    for (const path of ["user?id=ada", "revoke?user=ada"]) {
      expect(await page(path)).toMatchObject({
        status: 404,
        text: expect.stringContaining("no sessions by user") as string,
      });
    }
    const asked = await page("revoke?everyone=1");
    const answer = await fetch(`${home}revoke`, {
      method: "POST",
      redirect: "manual",
      headers: { cookie: [own, asked.cookies[0]?.split(";", 1)[0]].join("; "), origin: new URL(home).origin },
      body: new URLSearchParams(fieldsOf(asked.text)),
    });
    expect(answer.status).toBe(303);
    const ended = await page(answer.headers.get("location") ?? "");
    expect(ended.text).toContain("4 sessions revoked.");
    expect(overview.text + ended.text).not.toContain("npx pgstore migrate");
    expect(
      (await pool.query("SELECT FROM session WHERE expire > localtimestamp AND sess::text <> 'null'")).rowCount,
    ).toBe(0);
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([0, null]);
    expect(said().err).toBe("");
  });

  it("takes a folder of PGlite's for a database, but makes none unless it migrates", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pgstore-cli-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    const url = join(folder, "data");
    expect(await program.run(["check", "--url", url])).toMatchObject({ code: 3, out: "" });
    expect(await program.run(["migrate", "--url", url])).toMatchObject({ code: 0, err: "" });
  }, 120_000);

  it("doesn't mind that its reader has enough", async () => {
    const child = program.start(["migrate", "--print"]);
    const said = collect(child);
    child.stdout?.destroy();
    const [code] = (await once(child, "close")) as [number];
    expect([code, said().err]).toEqual([0, ""]);
  });
});
