import { createToken, idOf } from "../../src/lib/core/token.ts";
import { tokensIn } from "./token-leaks.ts";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { barrier, deferred, Gate } from "./barrier.ts";
import { type CutProxy, startCutProxy } from "./cut-proxy.ts";
import { createDatabase, type TestDatabase } from "./database.ts";
import { binaryPackage } from "./postgres-binaries.ts";
import { type PostgresServer, startPostgres } from "./postgres-server.ts";

let database: TestDatabase;
let db: pg.Pool;
beforeAll(async () => {
  database = await createDatabase();
  db = database.pool();
});
afterAll(() => database.drop());

const insert = (token: string): string => `INSERT INTO sessions VALUES ('${token}', '', now())`;

async function exists(token: string): Promise<boolean> {
  return (await db.query("SELECT FROM sessions WHERE token = $1", [token])).rowCount === 1;
}

/** Runs work with a connection and ends it, even if the work throws. */
async function connected<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  config?: pg.ClientConfig,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, ...config });
  client.on("error", () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

const selectOne = async (url: string): Promise<number | null> =>
  connected(url, async (client) => (await client.query("SELECT 1")).rowCount);

describe("createDatabase", () => {
  it("makes databases that do not see each other, many at once", async () => {
    const others = await Promise.all(Array.from({ length: 5 }, () => createDatabase()));
    await Promise.all(others.map((other, n) => other.pool().query(insert(`of ${n}`))));
    const tokens = await Promise.all(others.map((other) => other.pool().query("SELECT token FROM sessions")));
    expect(tokens.map(({ rows }) => rows as unknown)).toEqual(others.map((_, n) => [{ token: `of ${n}` }]));
    expect(await exists("of 0")).toBe(false);
    await Promise.all(others.map((other) => other.drop()));
  });

  it("connects as the role that the run asks for, with no right but those on the tables", async () => {
    const role = inject("restrictedRole");
    const asked = `SELECT
      (SELECT bool_and(has_table_privilege('sessions', name)) FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) name) AS uses,
      has_table_privilege('sessions', 'TRUNCATE') OR has_table_privilege('sessions', 'REFERENCES, TRIGGER')
        OR pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'sessions'::regclass), 'MEMBER')
        OR has_schema_privilege('public', 'CREATE') AS more`;
    expect((await db.query(asked)).rows).toEqual([{ uses: true, more: role === undefined }]);
    expect((await database.admin().query(asked)).rows).toEqual([{ uses: true, more: true }]);
    const { rows } = await db.query("SELECT current_user AS name, rolsuper FROM pg_roles WHERE rolname = current_user");
    if (role !== undefined) expect(rows).toEqual([{ name: role, rolsuper: false }]);
    await database.admin().query("CREATE TABLE made (n int)");
    expect((await db.query("INSERT INTO made VALUES (1)")).rowCount).toBe(1);
  });

  it("makes an empty database without the template", async () => {
    const empty = await createDatabase({ template: false });
    const { rows } = await empty.pool().query("SELECT to_regclass('sessions') AS found");
    expect(rows).toEqual([{ found: null }]);
    await empty.drop();
  });

  it("drops a database to which others are connected", async () => {
    const other = await createDatabase();
    await connected(other.url, async () => {
      await other.drop();
      const sql = "SELECT FROM pg_database WHERE datname = $1";
      await connected(inject("databaseUrl"), async (admin) =>
        expect((await admin.query(sql, [other.name])).rowCount).toBe(0),
      );
    });
  });
});

describe("barrier", () => {
  it("holds callers until all have come", async () => {
    const meet = barrier(3);
    const passed: number[] = [];
    const come = async (n: number): Promise<void> => {
      await meet();
      passed.push(n);
    };
    const first = [come(1), come(2)];
    await new Promise(setImmediate);
    expect(passed).toEqual([]);
    await Promise.all([...first, come(3)]);
    expect(passed).toEqual([1, 2, 3]);
  });
});

describe("Gate", () => {
  it("holds until it is opened, then no longer", async () => {
    const gate = new Gate();
    let through = false;
    const waiting = gate.wait().then(() => (through = true));
    await new Promise(setImmediate);
    expect(through).toBe(false);
    gate.open();
    await waiting;
    await gate.wait();
    expect(through).toBe(true);
  });
});

describe("deferred", () => {
  it("is settled from outside", async () => {
    const [good, bad] = [deferred<number>(), deferred()];
    good.resolve(1);
    bad.reject(new Error("no"));
    expect(await good.promise).toBe(1);
    await expect(bad.promise).rejects.toThrow("no");
  });
});

describe("startCutProxy", () => {
  let proxy: CutProxy;
  let url: string;
  beforeAll(async () => {
    const { hostname, port } = new URL(database.url);
    proxy = await startCutProxy(Number(port || 5432), hostname);
    url = proxy.through(database.url);
  });
  afterAll(() => proxy.close());

  it("passes everything on, large answers too", async () => {
    await connected(url, async (client) => {
      const { rows } = await client.query<{ text: string }>("SELECT repeat('x', 5000000) AS text");
      expect(rows[0]?.text).toHaveLength(5_000_000);
    });
  });

  it("cuts after a COMMIT: the client gets an error, the row is there", async () => {
    proxy.cutAfter("COMMIT");
    await connected(url, async (client) => {
      await client.query("BEGIN");
      await client.query(insert("committed"));
      await expect(client.query("COMMIT")).rejects.toThrow(/terminated/);
    });
    expect(await exists("committed")).toBe(true);
    expect(proxy.cuts).toBe(1);
  });

  it("cuts as often as it is told, after this tag only", async () => {
    const before = proxy.cuts;
    await db.query(insert("updated"));
    proxy.cutAfter("UPDATE 1", 2);
    const update = (token: string): Promise<unknown> =>
      connected(url, (client) =>
        client.query("UPDATE sessions SET data = data || 'x'::bytea WHERE token = $1", [token]),
      );
    await update("nobody's");
    await expect(update("updated")).rejects.toThrow(/terminated/);
    await expect(update("updated")).rejects.toThrow(/terminated/);
    await update("updated");
    const { rows } = await db.query("SELECT data FROM sessions WHERE token = 'updated'");
    expect(rows).toEqual([{ data: Buffer.from("xxx") }]);
    expect(proxy.cuts - before).toBe(2);
  });

  it("swallows everything as a black hole", async () => {
    const stuck = new pg.Client({ connectionString: url, query_timeout: 200 });
    await stuck.connect();
    const dropped = new Promise((resolve) => stuck.once("error", resolve));
    proxy.blackhole(true);
    await expect(stuck.query(insert("swallowed"))).rejects.toThrow(/timeout/);
    await expect(connected(url, async () => {}, { connectionTimeoutMillis: 200 })).rejects.toThrow(/timeout/);
    proxy.blackhole(false);
    await dropped;
    expect(await exists("swallowed")).toBe(false);
    expect(await selectOne(url)).toBe(1);
  });

  it("refuses new connections and leaves the others", async () => {
    await connected(url, async (client) => {
      proxy.refuse(true);
      await expect(selectOne(url)).rejects.toThrow(/terminated|ECONNRESET/);
      expect((await client.query("SELECT 1")).rowCount).toBe(1);
      proxy.refuse(false);
      expect(await selectOne(url)).toBe(1);
    });
  });

  it("kills all connections", async () => {
    await connected(url, async (client) => {
      const dropped = new Promise((resolve) => client.once("error", resolve));
      proxy.killAll();
      await dropped;
    });
    expect(await selectOne(url)).toBe(1);
  });
});

describe("startPostgres", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ settings: { max_connections: "20" } });
  });
  afterAll(() => server.stop());

  it("starts the version of the package with the binaries", async () => {
    const root = process.env["TEST_POSTGRES_PACKAGE"] ?? binaryPackage();
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    await connected(server.url, async (client) => {
      const { rows } = await client.query<{ server_version: string }>("SHOW server_version");
      expect(version.startsWith(`${rows[0]?.server_version}.`)).toBe(true);
    });
  });

  it("takes settings", async () => {
    await connected(server.url, async (client) => {
      const { rows } = await client.query(
        "SELECT current_setting('max_connections'), current_setting('fsync') AS fsync",
      );
      expect(rows).toEqual([{ current_setting: "20", fsync: "off" }]);
    });
  });

  it("comes back after a restart and after a kill, with what was committed, without who was connected", async () => {
    await connected(server.url, (client) => client.query("CREATE TABLE restarts (how text)"));
    const ways = {
      fast: () => server.restart("fast"),
      immediate: () => server.restart("immediate"),
      kill: async () => {
        await server.kill();
        await expect(selectOne(server.url)).rejects.toThrow(/ECONNREFUSED|terminated|ECONNRESET/);
        await server.restart("fast");
      },
    };
    for (const [how, restart] of Object.entries(ways)) {
      await connected(server.url, async (client) => {
        await client.query("INSERT INTO restarts VALUES ($1)", [how]);
        const dropped = new Promise((resolve) => client.once("error", resolve));
        await restart();
        await dropped;
      });
    }
    const { rows } = await connected(server.url, (client) => client.query("SELECT how FROM restarts"));
    expect(rows).toEqual([{ how: "fast" }, { how: "immediate" }, { how: "kill" }]);
  });

  it("leaves nothing behind, even of a killed server", async () => {
    await server.kill();
    await server.stop();
    expect(existsSync(dirname(server.dataDir))).toBe(false);
    await expect(selectOne(server.url)).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe("the watch for tokens", () => {
  it("knows every token that is made, wherever it stands in a text, and nothing else", () => {
    const token = createToken();
    expect(tokensIn(`{"cookie":"session=${token}; Path=/"}`)).toEqual([token]);
    expect(tokensIn(`${idOf(token)} ${token.slice(1)}x`)).toEqual([]);
  });
});
