import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { bundleOf } from "../support/bundle.ts";
import type { Driver } from "../support/clients.ts";
import { startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { seeded } from "../support/random.ts";
import { contradictions, type Final, type Operation } from "./history.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const TOKENS = ["a", "b", "c", "d", "e", "f"];

/** Runs a process and gives its history. */
async function run(url: string, driver: Driver, name: string, seed: number, operations: number): Promise<Operation[]> {
  const child = fork(await bundleOf(new URL("model-process.ts", import.meta.url)), {
    env: {
      ...process.env,
      MODEL_URL: url,
      MODEL_DRIVER: driver,
      MODEL_NAME: name,
      MODEL_SEED: String(seed),
      MODEL_WORKERS: "12",
      MODEL_OPERATIONS: String(operations),
      MODEL_TOKENS: TOKENS.join(","),
    },
  });
  onTestFinished(() => void child.kill());
  return new Promise((resolve, reject) => {
    child.once("message", (history) => resolve(history as Operation[]));
    child.once("exit", (code) => reject(new Error(`the process ended with code ${code} before it told its history`)));
  });
}

describe("thousands of random operations on few rows, from two processes, with connections that are killed", () => {
  const first = Number(process.env["MODEL_SEED"] ?? 0);
  // postgres.js takes its time before it connects again.
  const runs: [seed: number, driver: Driver, operations: number][] = [
    [first + 1, "node-postgres", 100],
    [first + 2, "node-postgres", 100],
    [first + 3, "postgres.js", 50],
  ];
  for (const [seed, driver, operations] of runs) {
    it(`lose no acknowledged write and bring nothing back (seed ${seed}, ${driver})`, async () => {
      await database.pool({ max: 1 }).query("DELETE FROM sessions");
      const proxy = await startCutProxy(Number(new URL(database.url).port));
      const url = proxy.through(database.url);
      const killer = database.pool({ max: 1 });
      const running = { now: true };
      const histories = Promise.all([
        run(url, driver, `p${seed}`, seed, operations),
        run(url, driver, `q${seed}`, seed + 100, operations),
      ]).finally(() => {
        running.now = false;
      });
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
          // By what the server has done, so that a slow machine gets as many as a quick one.
          const next = proxy.answers + random() * 28;
          while (running.now && proxy.answers < next) await sleep(1);
        }
      })();
      const history = (await histories).flat();
      await killing;
      await proxy.close();
      const { rows } = await killer.query<{ token: string; data: Buffer }>(
        "SELECT token, data FROM sessions WHERE expiry > current_timestamp",
      );
      const final: Final = new Map(rows.map(({ token, data }) => [token, data.toString()]));
      expect(contradictions(history, final)).toEqual([]);
      // It was a real test: all of it happened, and the killer was at work.
      expect(history).toHaveLength(2 * 12 * operations);
      expect(killed).toBeGreaterThan(0);
      expect(proxy.cuts).toBeGreaterThan(0);
      for (const kind of ["create", "replace", "renew", "delete", "terminate", "touch"]) {
        expect(history.filter((one) => one.kind === kind && one.done === true).length).toBeGreaterThan(operations / 20);
      }
      for (const kind of ["destroyByUser", "destroyByTag"]) {
        expect(history.filter((one) => one.kind === kind && one.done === true).length).toBeGreaterThan(0);
      }
    }, 120_000);
  }
});

describe("contradictions", () => {
  const at = (from: number, one: Omit<Operation, "from" | "to">): Operation => ({ ...one, from, to: from + 1 });
  const create = at(0, { kind: "create", token: "t", data: "1", done: true });
  const replace = at(10, { kind: "replace", token: "t", previous: "1", data: "2", done: true });
  const renew = at(10, { kind: "renew", token: "t", previous: "1", data: "2", newToken: "u", done: true });
  const login: Operation = { ...create, userId: "ada", tag: "sid" };
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
    "notices a renewed row that lives on after it was destroyed under its old token": [
      [create, renew, at(20, { kind: "terminate", token: "t", done: true })],
      [["u", "2"]],
      /from which it was renewed, had been destroyed/,
    ],
    "notices one that was destroyed while it was renewed": [
      [create, renew, at(10, { kind: "terminate", token: "t", done: true })],
      [["u", "2"]],
      /from which it was renewed, had been destroyed/,
    ],
    "accepts a renewed row that is gone after that": [
      [create, renew, at(20, { kind: "terminate", token: "t", done: true })],
      [],
      undefined,
    ],
    "accepts one that lives on as the old row, which led to it, was deleted before": [
      [
        create,
        renew,
        at(15, { kind: "delete", token: "t", done: true }),
        at(20, { kind: "terminate", token: "t", done: false }),
      ],
      [["u", "2"]],
      undefined,
    ],
    "notices a login that lives on after its user's sessions had been ended": [
      [login, replace, at(20, { kind: "destroyByUser", token: "ada", done: false })],
      [["t", "2"]],
      /although destroyByUser of ada had ended it/,
    ],
    "notices one that had been renewed and lives on after its tag's sessions had been ended": [
      [
        login,
        renew,
        at(20, { kind: "destroyByTag", token: "sid", done: true }),
        at(30, { kind: "find", token: "u", found: "2" }),
      ],
      [],
      /although destroyByTag of sid had ended it/,
    ],
    "accepts a login that is gone after that, and a later one or another's": [
      [
        login,
        at(20, { kind: "destroyByTag", token: "sid", done: true }),
        at(30, { kind: "create", token: "v", data: "3", userId: "ada", tag: "sid", done: true }),
        at(0, { kind: "create", token: "w", data: "4", userId: "bob", tag: "other", done: true }),
      ],
      [
        ["v", "3"],
        ["w", "4"],
      ],
      undefined,
    ],
    "notices one that is gone without that": [
      [login, at(20, { kind: "destroyByTag", token: "other", done: true })],
      [],
      /neither there nor replaced/,
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
