import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import type { Driver } from "../support/clients.ts";
import { startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { pgbouncerVersion, startPgBouncer } from "../support/pgbouncer.ts";
import { seeded } from "../support/random.ts";
import { contradictions, type Final, type Operation } from "./history.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

interface Way {
  driver: Driver;
  pooled?: boolean;
  seeds: number[];
  /** Of each worker. */
  operations: number;
}

const ways: Record<string, Way> = {
  "node-postgres": { driver: "node-postgres", seeds: [1, 2], operations: 200 },
  "postgres.js": { driver: "postgres.js", seeds: [3], operations: 60 },
  "Neon's Pool": { driver: "Neon's Pool", seeds: [4], operations: 60 },
  "node-postgres through PgBouncer": { driver: "node-postgres", pooled: true, seeds: [5], operations: 60 },
  "postgres.js through PgBouncer": { driver: "postgres.js", pooled: true, seeds: [6], operations: 60 },
};
const hasPgBouncer = pgbouncerVersion() !== undefined;

const WORKERS = 12;
const TOKENS = ["a", "b", "c", "d", "e", "f"];

/** Runs a process and gives its history. */
function run(url: string, { driver, operations }: Way, name: string, seed: number): Promise<Operation[]> {
  const child = fork(fileURLToPath(new URL("model-process.ts", import.meta.url)), {
    execArgv: ["--import", "tsx"],
    env: {
      ...process.env,
      MODEL_URL: url,
      MODEL_DRIVER: driver,
      MODEL_NAME: name,
      MODEL_SEED: String(seed),
      MODEL_WORKERS: String(WORKERS),
      MODEL_OPERATIONS: String(operations),
      MODEL_TOKENS: TOKENS.join(","),
    },
  });
  // Of a test that takes too long as well: the next one has the same table.
  onTestFinished(() => void child.kill("SIGKILL"));
  return new Promise((resolve, reject) => {
    child.once("message", (history) => resolve(history as Operation[]));
    child.once("exit", (code) => reject(new Error(`the process ended with code ${code} before it told its history`)));
  });
}

/** Lets two processes loose on the table while their connections are killed, and holds what they saw against the model. */
async function race(way: Way, seed: number): Promise<void> {
  await database.pool({ max: 1 }).query("TRUNCATE sessions");
  const bouncer = way.pooled === true ? await startPgBouncer(inject("databaseUrl")) : undefined;
  const target = bouncer?.through(database.url) ?? database.url;
  const proxy = await startCutProxy(Number(new URL(target).port));
  const url = proxy.through(target);
  const killer = database.pool({ max: 1 });
  const running = { now: true };
  const histories = Promise.all([run(url, way, `p${seed}`, seed), run(url, way, `q${seed}`, seed + 100)]).finally(
    () => {
      running.now = false;
    },
  );
  const random = seeded(seed);
  let killed = 0;
  const killing = (async () => {
    while (running.now) {
      // After the commit and before the answer, or somewhere in between.
      if (random() < 0.5) proxy.cutAfter(["UPDATE", "INSERT", "DELETE", "SELECT"][Math.floor(random() * 4)] ?? "");
      else {
        const victims = await killer.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'model' AND datname = $1 ORDER BY random() LIMIT 1",
          [database.name],
        );
        killed += victims.rowCount ?? 0;
      }
      await sleep(random() * 20);
    }
  })();
  const history = (await histories).flat();
  await killing;
  await proxy.close();
  await bouncer?.stop();
  const { rows } = await killer.query<{ token: string; data: Buffer }>("SELECT token, data FROM sessions");
  const final: Final = new Map(rows.map(({ token, data }) => [token, data.toString()]));
  expect(contradictions(history, final)).toEqual([]);
  // It was a real test: all of it happened, and the killer was at work.
  expect(history).toHaveLength(2 * WORKERS * way.operations);
  expect(killed).toBeGreaterThan(0);
  expect(proxy.cuts).toBeGreaterThan(0);
  for (const kind of ["create", "replace", "renew", "delete", "touch"]) {
    expect(history.filter((one) => one.kind === kind && one.done === true).length).toBeGreaterThan(way.operations / 20);
  }
}

describe("random operations on few rows, from two processes, with connections that are killed", () => {
  for (const [name, way] of Object.entries(ways)) {
    for (const seed of way.seeds.map((n) => n + Number(process.env["MODEL_SEED"] ?? 0))) {
      const title = `lose no acknowledged write and bring nothing back, on ${name} (seed ${seed})`;
      // Slow machines see more kills for each operation.
      it.skipIf(way.pooled === true && !hasPgBouncer)(title, () => race(way, seed), 120_000);
    }
  }
});

describe("contradictions", () => {
  const at = (from: number, one: Omit<Operation, "from" | "to">): Operation => ({ ...one, from, to: from + 1 });
  const create = at(0, { kind: "create", token: "t", data: "1", done: true });
  const replace = at(10, { kind: "replace", token: "t", previous: "1", data: "2", done: true });
  const cases: Record<string, [history: Operation[], final: [string, string][], message: RegExp | undefined]> = {
    "accepts a row that was replaced": [[create, replace], [["t", "2"]], undefined],
    "notices a lost write": [[create, replace], [["t", "1"]], /although it had been replaced/],
    "notices a write that is not there": [[create], [], /neither there nor replaced/],
    "notices two that replaced the same": [
      [create, replace, at(12, { kind: "replace", token: "t", previous: "1", data: "3", done: true })],
      [["t", "3"]],
      /replaced twice/,
    ],
    "notices what comes back": [
      [create, at(10, { kind: "delete", token: "t", done: true }), at(20, { kind: "find", token: "t", found: "1" })],
      [],
      /has come back/,
    ],
    "notices data of another row": [
      [create],
      [
        ["t", "1"],
        ["u", "1"],
      ],
      /nobody wrote there/,
    ],
    "accepts either outcome of a write whose outcome is unknown": [
      [create, at(10, { kind: "replace", token: "t", previous: "1", data: "2" })],
      [["t", "2"]],
      undefined,
    ],
  };
  for (const [title, [history, final, message]] of Object.entries(cases)) {
    it(title, () => {
      const all = contradictions(history, new Map(final));
      if (message === undefined) expect(all).toEqual([]);
      else expect(all.join("\n")).toMatch(message);
    });
  }
});
