import { once } from "node:events";
import net from "node:net";
import type postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PgStore, StoreUnavailableError } from "../../src/index.ts";
import { driverOf } from "../../src/lib/postgres/drivers/index.ts";
import { openPostgresJs } from "../support/clients.ts";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const soon = (): Date => new Date(Date.now() + 60_000);
const data = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Its own socket, as it lets applications make them, so that a test can act between the socket's "error" and its "close". */
function open(proxy: CutProxy, max: number, between: () => void) {
  const socket = async (): Promise<net.Socket> => {
    const made = net.connect(proxy.port, "127.0.0.1");
    await once(made, "connect");
    return made.prependListener("error", between);
  };
  const options = { max, socket } as postgres.Options<Record<string, postgres.PostgresType>>;
  return openPostgresJs(proxy.through(database.url), options);
}

describe("an idle connection of postgres.js that is reset", () => {
  const cases = [
    { max: 1, count: 1 },
    { max: 1, count: 2 },
    { max: 1, count: 5 },
    { max: 3, count: 5 },
  ];
  for (const { max, count } of cases) {
    it(`gives none of ${count} that ask just then another's answer, with ${max} of them`, async () => {
      const proxy = await startCutProxy(Number(new URL(database.url).port));
      let act: (() => void) | undefined;
      let resolve: () => void = () => {};
      const acted = new Promise<void>((done) => (resolve = done));
      const client = open(proxy, max, () => {
        act?.();
        act = undefined;
        resolve();
      });
      onTestFinished(async () => {
        await client.close();
        await proxy.close();
      });
      // Each has batches of its own, so that each sends a statement.
      const stores = Array.from(
        { length: count + 1 },
        () => new PgStore(client.db, { cleanupInterval: 0, queryTimeout: "5s" }),
      );
      const names = stores.map((_, n) => `reset ${max} ${count} ${n}`);
      await Promise.all(stores.map((store, n) => store.save(names[n] ?? "", data(names[n] ?? ""), soon())));

      const asked: Promise<unknown>[] = [];
      const ask = async (n: number): Promise<void> => {
        const found = await stores[n]?.find(names[n] ?? "");
        expect(found && new TextDecoder().decode(found.data)).toBe(names[n]);
      };
      // Each connection knows the statement: it would wait for the answer to the first one of a kind anyway.
      for (let round = 0; round < 3; round++) await Promise.all(stores.map((_, n) => ask(n)));

      act = () => {
        for (let n = 0; n < count; n++) asked.push(ask(n));
      };
      proxy.resetAll();
      await acted;
      // One more, which has it connect again.
      asked.push(ask(count));
      expect(asked).toHaveLength(count + 1);
      for (const one of await Promise.allSettled(asked)) {
        if (one.status === "rejected") expect(one.reason).toBeInstanceOf(StoreUnavailableError);
      }
      // Nothing is left in the way of what comes after.
      for (let round = 0; round < 3; round++) await Promise.all(stores.map((_, n) => ask(n)));
    });
  }
});

describe("a statement whose connection of postgres.js is reset", () => {
  it("fails when those that were reset with it are gone: the next one gets none of those", async () => {
    const proxy = await startCutProxy(Number(new URL(database.url).port));
    const client = open(proxy, 4, () => {});
    onTestFinished(async () => {
      await client.close();
      await proxy.close();
    });
    const watcher = database.pool({ max: 1 });
    const driver = driverOf(client.db);
    const load = () => ({ values: [], until: performance.now() + 10_000 });
    const ask = (text: string) => driver.run({ text: `SELECT '${text}'::text AS answer`, name: "ask", load }, 10_000);
    for (let round = 0; round < 3; round++) {
      const sleeping = Array.from({ length: 4 }, () =>
        driver.run({ text: "SELECT pg_sleep(0.05)::text", load }, 10_000),
      );
      await Promise.all(sleeping);
      // One is busy, the others are idle.
      const text = `SELECT pg_sleep(60)::text AS round${round}`;
      const busy = driver.run({ text, load }, 10_000);
      const next = busy.then(
        () => [],
        () => ask("next"),
      );
      const asleep = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND query = $2 AND wait_event = 'PgSleep'";
      const found = async () => (await watcher.query(asleep, [database.name, text])).rowCount;
      await expect.poll(found).toBe(1);
      proxy.resetAll();
      expect(await next).toEqual([{ answer: "next" }]);
    }
  });
});
