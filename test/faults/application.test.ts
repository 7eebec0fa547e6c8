import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { PgStore, SessionManager } from "../../src/index.ts";
import { startServer } from "./server.ts";
import { driverNames } from "./support.ts";

const IN_FLIGHT = 100;

const title =
  "SIGTERM with 100 requests in flight: each answer that said 200 has its data in the table, and the process ends by itself";
it.each(driverNames)(`${title}, with %s`, async (driver) => {
  const server = await startServer();
  const pool = new pg.Pool({ connectionString: server.url, max: 2 });
  pool.on("error", () => {});
  const store = new PgStore(pool, { cleanupInterval: 0 });
  const child = fork(fileURLToPath(new URL("application.ts", import.meta.url)), {
    execArgv: ["--import", "tsx"],
    env: { ...process.env, APP_DATABASE_URL: server.url, APP_DRIVER: driver },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let arrived = 0;
  child.on("message", (message) => {
    if (message === "arrived" && ++arrived === IN_FLIGHT) child.kill("SIGTERM");
  });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  const exited = once(child, "exit");
  const answers = await Promise.allSettled(
    Array.from({ length: IN_FLIGHT }, async (_, n) => {
      const response = await fetch(`http://127.0.0.1:${port}/key${n}`, { headers: { connection: "close" } });
      return { n, status: response.status, id: await response.text() };
    }),
  );
  expect((await exited)[0]).toBe(0);
  const acknowledged = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  expect(acknowledged.length).toBe(IN_FLIGHT);
  const found = new Map<string, string[]>();
  const manager = new SessionManager<Record<string, unknown>>(store);
  for await (const session of manager.iterate()) found.set(session.id ?? "", session.keys());
  for (const { n, status, id } of acknowledged) {
    expect(status).toBe(200);
    expect(found.get(id)).toEqual([`key${n}`]);
  }
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  await pool.end();
});
