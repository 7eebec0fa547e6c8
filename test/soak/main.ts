/**
 * `npm run soak [-- --minutes 10 --history FILE]`: processes that work on few sessions, a killer beside them, and at the end the question
 * whether what they saw is what is promised. Prints one line of figures; ends with 1 when it is not.
 */
import { type ChildProcess, fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import pg from "pg";
import { PgStore } from "../../src/index.ts";
import { startCutProxy } from "../support/cut-proxy.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { judge } from "./check.ts";
import type { SoakEvent } from "./event.ts";

const { values: options } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, history: { type: "string" } },
});
const minutes = Number(options.minutes);
if (!(minutes > 0 && minutes <= 120)) throw new TypeError("--minutes: must be a number from 0 to 120");
const SLOTS = 6;
const WORKERS = ["node-postgres", "node-postgres", "postgres.js"];
const RESTART_EVERY_MS = 20_000;

type Message = { event: SoakEvent } | { slot: number; token: string | undefined; name: string } | "finished";

const server = await startPostgres();
const proxy = await startCutProxy(server.port);
const workers: ChildProcess[] = [];
const history: SoakEvent[] = [];
const counts = { kills: 0, restarts: 0 };
const state = { isWorking: true };

function startWorker(driver: string, index: number): Promise<void> {
  const worker = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), {
    execArgv: ["--import", "tsx", "--unhandled-rejections=strict"],
    env: {
      ...process.env,
      SOAK_URL: proxy.through(server.url),
      SOAK_DRIVER: driver,
      SOAK_NAME: `w${index}`,
      SOAK_TASKS: "6",
      SOAK_SLOTS: String(SLOTS),
      SOAK_SEED: String(Date.now() % 100_000),
    },
  });
  workers.push(worker);
  worker.on("message", (message: Message) => {
    if (message === "finished") return;
    if ("event" in message) history.push(message.event);
    else for (const other of workers) if (other !== worker && other.connected) other.send(message);
  });
  return new Promise((resolve, reject) => {
    worker.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with code ${code}`))));
  });
}

async function ask(sql: string): Promise<number> {
  const client = new pg.Client({ connectionString: server.url, connectionTimeoutMillis: 2000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query(sql)).rowCount ?? 0;
  } catch {
    return 0;
  } finally {
    await client.end().catch(() => {});
  }
}

async function kill(): Promise<void> {
  const victim = "pid <> pg_backend_pid() AND backend_type = 'client backend'";
  while (state.isWorking) {
    if (Math.random() < 0.5) proxy.cutAfter(["UPDATE", "INSERT", "SELECT"][Math.floor(Math.random() * 3)] ?? "");
    else
      counts.kills += await ask(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${victim} ORDER BY random() LIMIT 1`,
      );
    await sleep(50 + Math.random() * 250);
  }
}

async function restart(): Promise<void> {
  const end = Date.now() + minutes * 60_000;
  while (Date.now() < end) {
    await sleep(Math.min(RESTART_EVERY_MS, Math.max(0, end - Date.now())));
    if (Date.now() >= end) return;
    await server.restart(counts.restarts % 2 === 0 ? "fast" : "immediate");
    counts.restarts++;
  }
}

try {
  const pool = new pg.Pool({ connectionString: server.url, max: 1 });
  pool.on("error", () => {});
  await new PgStore(pool, { cleanupInterval: 0 }).migrate();
  await pool.end();
  const finished = Promise.all(WORKERS.map(startWorker));
  const killing = kill();
  await Promise.race([restart(), finished]);
  state.isWorking = false;
  await killing;
  for (const worker of workers) if (worker.connected) worker.send("stop");
  await finished;
  const { operations, acknowledged, unknown, losses, resurrections, leaks } = judge(history);
  for (const problem of [...losses, ...resurrections, ...leaks].slice(0, 20)) console.error(problem);
  console.log(
    `soak, ${minutes} min: ${operations} operations, ${acknowledged} acknowledged writes, ${unknown} unknown outcomes, ` +
      `${counts.kills} kills, ${proxy.cuts} cuts, ${counts.restarts} restarts; ` +
      `${losses.length} losses, ${resurrections.length} resurrections, ${leaks.length} leaks`,
  );
  if (options.history !== undefined) writeFileSync(options.history, JSON.stringify(history));
  const isClean = losses.length + resurrections.length + leaks.length === 0;
  if (!isClean || acknowledged === 0 || counts.kills === 0) process.exitCode = 1;
} finally {
  state.isWorking = false;
  for (const worker of workers) worker.kill("SIGKILL");
  await proxy.close();
  await server.stop();
}
