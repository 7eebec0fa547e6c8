import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import net from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { nodeHandler } from "../../src/node.ts";
import { createDatabase } from "../support/database.ts";
import { cookieOf, serve } from "../support/serve.ts";
import { driverNames, type FaultyDriver, openClient, startApp } from "./support.ts";

/** An application whose handler writes "key", and stops where a test tells it to. */
async function start(driver: FaultyDriver) {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const app = await startApp(openClient(driver, database.url));
  const direct = database.pool();
  const arrivals: (() => void)[] = [];
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => (go = resolve));
  const served = await serve(
    nodeHandler(app.manager, async (request: IncomingMessage, response: ServerResponse) => {
      const session = app.manager.sessionOf(request);
      for (const tell of arrivals.splice(0)) tell();
      if (request.url === "/held") await gate;
      session.set("key", request.url);
      // More than the sockets take, so that the client leaves in the middle.
      for (let n = 0; request.url === "/body" && n < 200; n++) response.write(Buffer.alloc(65_536));
      response.end();
    }),
  );
  onTestFinished(() => served.close());
  const cookie = cookieOf(await app.get("/set/first")) ?? "";
  const send = async (path: string): Promise<net.Socket> => {
    const socket = net.connect(served.port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\n\r\n`);
    return socket;
  };
  return {
    app,
    direct,
    port: served.port,
    send,
    go,
    arrival: () => new Promise<void>((resolve) => arrivals.push(resolve)),
    /** Statements that wait for a lock. */
    waiting: async () =>
      (
        await direct.query("SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'", [
          database.name,
        ])
      ).rowCount,
    /** The session is whole and holds its first key; says whether it holds the one of the request as well. */
    wrote: async (): Promise<boolean> => {
      const response = await app.get("/get", cookie);
      const { keys } = (await response.json()) as { keys: string[] };
      expect([response.status, keys[0]]).toEqual([200, "first"]);
      return keys.includes("key");
    },
  };
}

/** Holds a lock until the returned function is called. */
async function locking(pool: Awaited<ReturnType<typeof start>>["direct"], sql: string): Promise<() => Promise<void>> {
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query(sql);
  return async () => {
    await client.query("COMMIT");
    client.release();
  };
}

describe.each(driverNames)("a client that goes away, with %s", (driver) => {
  it("in the middle of its request's head changes nothing", async () => {
    const { app, port, wrote } = await start(driver);
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.write("GET / HTTP/1.1\r\nHost: loc");
    socket.destroy();
    expect(await wrote()).toBe(false);
    await app.recovered();
  });

  it.each([
    ["loaded", "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"],
    ["committed", "SELECT 1 FROM sessions FOR UPDATE"],
  ])("while its session is %s has its changes stored all the same", async (_, lock) => {
    const { app, direct, send, waiting, wrote } = await start(driver);
    const unlock = await locking(direct, lock);
    const socket = await send("/");
    await expect.poll(waiting).toBe(1);
    socket.destroy();
    await unlock();
    await expect.poll(wrote).toBe(true);
    await app.recovered();
  });

  it("while its handler is at work has its changes stored", async () => {
    const { app, arrival, send, go, wrote } = await start(driver);
    const arrived = arrival();
    const socket = await send("/held");
    await arrived;
    socket.destroy();
    go();
    await expect.poll(wrote).toBe(true);
    await app.recovered();
  });

  it("in the middle of the response finds its changes stored already", async () => {
    const { app, send, wrote } = await start(driver);
    const socket = await send("/body");
    await once(socket, "data");
    socket.destroy();
    expect(await wrote()).toBe(true);
    await app.recovered();
  });

  it("again and again, anywhere, leaks no connection", async () => {
    const { app, send } = await start(driver);
    for (let n = 0; n < 100; n++) {
      const socket = await send(n % 2 === 0 ? "/" : "/body");
      // From before anything is read to the middle of the body.
      for (let turn = 0; turn < n % 25; turn++) await new Promise((resolve) => setImmediate(resolve));
      socket.destroy();
    }
    await app.recovered();
  });
});
