import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PgStore } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let admin: pg.Pool;
beforeAll(async () => {
  database = await createDatabase();
  admin = database.admin({ max: 1 });
});
afterAll(() => database.drop());

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const soon = (): Date => new Date(Date.now() + 60_000);

type Args = [object, (error: unknown, result: unknown) => void];

/** A pool whose clients are changed as they connect. */
function poolOf(change: (client: pg.PoolClient) => void, options: pg.PoolConfig = {}): pg.Pool {
  // The parsers of an application.
  const types = { getTypeParser: () => () => "parsed" };
  const pool = new pg.Pool({
    connectionString: database.url,
    max: 1,
    connectionTimeoutMillis: 5000,
    types,
    ...options,
  });
  pool.on("error", () => {});
  pool.on("connect", change);
  onTestFinished(() => pool.end());
  return pool;
}

/** A client whose `query` goes through a wrapper. */
function wrapped(wrap: (...args: Args) => Args): (client: pg.PoolClient) => void {
  return (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    Object.assign(client, { query: (...args: Args) => query(...wrap(...args)) });
  };
}

/** Writes and reads, alone and together. */
async function useStore(pool: pg.Pool, prefix: string): Promise<void> {
  const store = new PgStore(pool, { cleanupInterval: 0 });
  const ids = [1, 2, 3, 4].map((n) => `${prefix}-${n}`);
  for (let round = 0; round < 2; round++) {
    await Promise.all(ids.map((id) => store.save(id, bytes(`${id} in ${round}`), soon())));
    const [id = ""] = ids;
    expect(await store.find(id)).toMatchObject({ data: bytes(`${id} in ${round}`) });
    const found = await Promise.all(ids.map((each) => store.find(each)));
    expect(found.map((each) => each?.data)).toEqual(ids.map((each) => bytes(`${each} in ${round}`)));
    expect(await store.find(`${prefix}-none`)).toBeUndefined();
  }
}

describe("a statement through a client of pg", () => {
  it("can be traced: its text and name are there, and its callback is the last argument", async () => {
    const traced: unknown[] = [];
    const trace = (query: object, callback: Args[1]): Args => {
      const { text, name } = query as { text: string; name?: string };
      return [
        query,
        (error, result) => {
          traced.push({ text, name, rows: (result as { rows?: unknown[] } | undefined)?.rows?.length, error });
          callback(error, result);
        },
      ];
    };
    await useStore(poolOf(wrapped(trace)), "traced");
    expect(traced).toContainEqual({
      text: expect.stringContaining("SELECT"),
      name: expect.stringMatching(/./),
      rows: 1,
      error: undefined,
    });
    expect(traced).not.toContainEqual(expect.objectContaining({ rows: undefined }));
  });

  it("may be sent as a copy of its settings, as by a program that adds a comment to each text", async () => {
    let sent = 0;
    const comment = (query: object, callback: Args[1]): Args => {
      sent++;
      const { text } = query as { text: string };
      return [{ ...query, text: `${text} /* traced */` }, callback];
    };
    await useStore(poolOf(wrapped(comment)), "commented");
    expect(sent).toBeGreaterThan(0);
  });

  it.each<[string, (query: object) => object]>([
    ["a proxy", (query) => new Proxy(query, {})],
    ["an object that inherits from it", (query) => Object.create(query) as object],
  ])("may be sent as %s", async (name, wrap) => {
    await useStore(poolOf(wrapped((query, callback) => [wrap(query), callback])), name);
  });

  it("reports values that can't be sent, also when the application's statement is before it", async () => {
    // As in `pool.on("connect", (client) => client.query("SET …"))`.
    const pool = poolOf((client) => {
      const { connection } = client as unknown as { connection: { bind(portal: unknown): void } };
      connection.bind = () => {
        throw new RangeError("too long");
      };
      void client.query("SELECT 1");
    });
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await expect(store.find("unsent")).rejects.toMatchObject({ cause: { message: "too long" } });
  });

  it("works with a client that pipelines, which takes only pg's own queries", async () => {
    await useStore(
      poolOf(() => {}, { pipeline: true }),
      "pipelined",
    );
  });

  it("asks for its columns once, on whichever connection", async () => {
    let described = 0;
    const connections: unknown[] = [];
    const pool = poolOf(
      (client) => {
        connections.push(client);
        const { connection } = client as unknown as { connection: { describe(portal: unknown): void } };
        const describeIt = connection.describe.bind(connection);
        connection.describe = (portal) => {
          described++;
          describeIt(portal);
        };
      },
      { max: 2, maxUses: 3 },
    );
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await store.save("described", bytes("yes"), soon());
    for (let round = 0; round < 8; round++) expect(await store.find("described")).toMatchObject({ data: bytes("yes") });
    expect(connections.length).toBeGreaterThan(2);
    // One for the save and one for the look-ups.
    expect(described).toBe(2);
  });

  it("is answered after its columns have changed", async () => {
    const pool = poolOf(() => {});
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await store.save("changed", bytes("yes"), soon());
    expect(await store.find("changed")).toMatchObject({ data: bytes("yes") });
    await admin.query("ALTER TABLE sessions ALTER COLUMN token TYPE varchar(1000)");
    onTestFinished(async () => void (await admin.query("ALTER TABLE sessions ALTER COLUMN token TYPE text")));
    for (let round = 0; round < 2; round++) expect(await store.find("changed")).toMatchObject({ data: bytes("yes") });
  });

  it("fails with the server's error, and leaves the connection usable", async () => {
    const pool = poolOf(() => {});
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await store.save("refused", bytes("before"), soon());
    await admin.query("ALTER TABLE sessions ADD CONSTRAINT small CHECK (octet_length(data) < 20) NOT VALID");
    const removed = (): Promise<unknown> => admin.query("ALTER TABLE sessions DROP CONSTRAINT IF EXISTS small");
    onTestFinished(async () => void (await removed()));
    await expect(store.save("refused", new Uint8Array(50), soon())).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(await store.find("refused")).toMatchObject({ data: bytes("before") });
    await removed();
    await store.save("refused", new Uint8Array(50), soon());
    expect(await store.find("refused")).toMatchObject({ data: new Uint8Array(50) });
  });
});
