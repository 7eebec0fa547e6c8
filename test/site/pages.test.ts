import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { Server as SocketServer } from "socket.io";
import { io as connectSocket } from "socket.io-client";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../src/express.ts";
import * as pgstore from "../../src/index.ts";
import * as node from "../../src/node.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { blocksOf, example } from "../support/pages.ts";
import { Browser, PageRunner } from "../support/run-page.ts";
import { cookieOf, serving } from "../support/serve.ts";

let database: TestDatabase;
let pages: PageRunner;
const servers: Server[] = [];
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pages = new PageRunner(database.url);
});
afterAll(async () => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  await pages.close();
  await database.drop();
});

const inMemory = (): pgstore.SessionManager<Record<string, unknown>> =>
  new pgstore.SessionManager(new pgstore.MemoryStore({ cleanupInterval: 0 }));

async function listen(server: Server): Promise<string> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("the pages", () => {
  it("Start: has a program that counts, logs in and logs out", async () => {
    const { store } = await pages.run(example("docs/start.md", "start"), ["store"]);
    const browser = new Browser(await pages.url());
    expect(await (await browser.get("/")).text()).toBe("Visit 1. You are not logged in.");
    await browser.post("/login");
    expect(await (await browser.get("/")).text()).toBe("Visit 2. You are ada.");
    await browser.post("/logout");
    expect(browser.cookie).toBe(undefined);
    (store as pgstore.PgStore).stopCleanup();
  });

  it("the home page: has the same, shorter", async () => {
    const { store } = await pages.run(example("docs/index.md", "home"), ["store"]);
    const browser = new Browser(await pages.url());
    await browser.post("/login");
    expect(await (await browser.get("/")).text()).toBe("ada, visit 1");
    (store as pgstore.PgStore).stopCleanup();
  });

  it("From SCS: has SCS's example, complete", async () => {
    const { engine } = await pages.run(example("docs/migrate/scs.md", "scs"), ["engine"]);
    const browser = new Browser(await pages.url());
    expect(await (await browser.get("/put")).text()).toBe("OK");
    expect(await (await browser.get("/get")).text()).toBe("Hello world!");
    (engine as pgstore.PgStore).stopCleanup();
  });

  it("node:http: has the same in pgstore's words", async () => {
    const { store } = await pages.run(example("docs/guides/node-http.md", "own"), ["store"]);
    const browser = new Browser(await pages.url());
    expect(await (await browser.get("/put")).text()).toBe("Hello world! Visit 1.");
    expect(browser.cookie).toMatch(/^__Host-session=/);
    expect(await (await browser.get("/")).text()).toBe("Hello world! Visit 2.");
    (store as pgstore.PgStore).stopCleanup();
  });

  it("Cleanup: shows how to clean up and stop", async () => {
    const pool = database.pool();
    await new pgstore.PgStore(pool, { cleanupInterval: 0 }).migrate();
    await pool.query("INSERT INTO sessions (token, data, expiry) VALUES ('expired', '', now() - interval '1 day')");
    await pages.run(example("docs/operate/cleanup.md", "cleanup"), [], { pool, PgStore: pgstore.PgStore });
    expect((await pool.query("SELECT FROM sessions WHERE token = 'expired'")).rowCount).toBe(0);
  });

  it("Schema: has a table that check finds nothing wrong with, under the names that migrate gives", async () => {
    const pool = database.pool();
    await pool.query("CREATE SCHEMA byhand");
    await pool.query(`SET search_path = byhand; ${example("docs/databases/schema.md", "sql").code}; RESET search_path`);
    const store = new pgstore.PgStore(pool, { cleanupInterval: 0, schema: "byhand" });
    expect(await store.check()).toEqual([]);
    const indexes =
      "SELECT indexname FROM pg_indexes WHERE tablename = 'sessions' AND schemaname = 'byhand' ORDER BY 1";
    const byHand = await pool.query(indexes);
    await pool.query("DROP TABLE byhand.sessions");
    await store.migrate();
    expect((await pool.query(indexes)).rows).toEqual(expect.arrayContaining(byHand.rows));
  });

  it("Partitions: shows a table that migrate completes and that logs users in and out", async () => {
    const pool = database.pool({ options: "-c search_path=parts" });
    await pool.query(`CREATE SCHEMA parts; ${example("docs/databases/partitions.md", "partitions").code}`);
    const store = new pgstore.PgStore(pool, { cleanupInterval: 0 });
    await store.migrate();
    expect(await store.check()).toEqual([]);
    const manager = new pgstore.SessionManager(store);
    const session = await manager.load();
    await session.login("ada");
    await manager.commit(session);
    expect(await manager.listByUser("ada")).toHaveLength(1);
    expect(await manager.destroyByUser("ada")).toBe(1);
    expect((await manager.load(session.token)).userId).toBe(undefined);
  });

  it("Fastify, Hono and Koa: count, log in, and answer 401 without a login", async () => {
    const manager = inMemory();
    for (const name of ["fastify", "koa"]) {
      await pages.run(example(`docs/guides/${name}.md`, name), [], { manager });
      const browser = new Browser(await pages.url());
      expect(await (await browser.get("/")).json(), name).toEqual({ visits: 1 });
      expect((await browser.get("/me")).status, name).toBe(401);
      expect((await (name === "koa" ? browser.get("/login") : browser.post("/login"))).status, name).toBeLessThan(400);
      expect(await (await browser.get("/me")).text(), name).toContain("ada");
    }
    const { app } = await pages.run(example("docs/guides/hono.md", "hono"), ["app"], { manager });
    const { request } = app as { request: (path: string, init?: RequestInit) => Promise<Response> };
    expect((await request("/me")).status).toBe(401);
    const cookie = cookieOf(await request("/login", { method: "POST" })) ?? "";
    expect(await (await request("/me", { headers: { cookie } })).text()).toBe("ada");
  });

  it("From iron-session: takes a login over once, and removes the old cookie", async () => {
    const manager = inMemory();
    const old: { userId?: string; destroyed: number; destroy(): void } = {
      userId: "ada",
      destroyed: 0,
      destroy() {
        delete this.userId;
        this.destroyed += 1;
      },
    };
    const app = express().use(connect(manager));
    const scope = { app, ironOptions: {}, getIronSession: async () => old };
    await pages.run(example("docs/migrate/iron-session.md", "takeover"), [], scope);
    app.get("/", (req, res) => void res.send(manager.sessionOf(req).userId));
    app.listen(4000);
    const browser = new Browser(await pages.url());
    expect(await (await browser.get("/")).text()).toBe("ada");
    expect(await (await browser.get("/")).text()).toBe("ada");
    expect(old.destroyed).toBe(1);
  });

  it("Dashboard: shows how to mount it", async () => {
    const store = new pgstore.PgStore(database.pool(), { cleanupInterval: 0 });
    await store.migrate();
    const manager = new pgstore.SessionManager(store);
    const { site } = await pages.run(example("docs/operate/dashboard.md", "dashboard"), ["site"], { manager });
    const loggedIn = async (userId: string): Promise<string> => {
      const session = await manager.load();
      await session.login(userId);
      await manager.commit(session);
      return `session=${session.token}`;
    };
    const [admin, other] = [await loggedIn("user-42"), await loggedIn("user-43")];
    await serving(site as node.NodeListener, async ({ get }) => {
      expect(await (await get("/")).text()).toBe("the application");
      expect((await get("/admin/sessions/", other)).status).toBe(403);
      expect((await get("/admin/sessions/")).status).toBe(403);
      expect(await (await get("/admin/sessions/user?id=user-43", admin)).text()).toContain("Sessions of user-43");
    });
  });

  it("CSRF: shows how to protect forms", async () => {
    const manager = inMemory();
    const { form, submit } = await pages.run(example("docs/security/csrf.md", "csrf"), ["form", "submit"], { manager });
    const [show, take] = [form, submit] as [node.NodeListener, (...args: unknown[]) => void];
    const listener = node.nodeHandler(manager, (request, response) => {
      if (request.method === "GET") return show(request, response);
      return take(request, response, new URL(request.url ?? "", "http://x").searchParams);
    });
    await serving(listener, async ({ url, get }) => {
      const page = await get("/");
      const cookie = cookieOf(page) ?? "";
      const token = /value="([^"]+)"/.exec(await page.text())?.[1] ?? "";
      const post = (query: string) => fetch(`${url}/?${query}`, { method: "POST", headers: { cookie } });
      expect(await (await post(`_csrf=${token}`)).text()).toBe("done");
      expect((await post("")).status).toBe(403);
    });
  });

  it("Encryption: shows how to encrypt", async () => {
    vi.stubEnv("SESSION_KEY", Buffer.alloc(32, 7).toString("base64"));
    const store = new pgstore.MemoryStore({ cleanupInterval: 0 });
    const block = example("docs/security/encryption.md", "encrypted");
    const { discreet } = await pages.run(block, ["discreet"], { ...pgstore, store });
    const manager = discreet as pgstore.SessionManager<Record<string, unknown>>;
    const session = await manager.load();
    session.set("secret", "the secret of the test");
    await manager.commit(session);
    expect((await manager.load(session.token)).get("secret")).toBe("the secret of the test");
    expect(Buffer.from((await store.find(session.id ?? ""))?.data ?? []).toString()).not.toContain("secret");
  });

  it("WebSockets: shows sockets that end with the log-out", async () => {
    const manager = inMemory();
    const session = await manager.load();
    await session.login("ada");
    session.set("message", "Hello world!");
    await manager.commit(session);
    const server = createServer();
    await pages.run(example("docs/guides/websockets.md", "websocket"), ["sockets"], { manager, server });
    const url = (await listen(server)).replace("http:", "ws:");
    const [error] = (await once(new WebSocket(url), "error")) as [Error];
    expect(error.message).toContain("401");
    const socket = new WebSocket(url, { headers: { cookie: `session=${session.token}` } });
    await once(socket, "open");
    socket.send("?");
    const [message] = (await once(socket, "message")) as [Buffer];
    expect(message.toString()).toBe("Hello world!");
    const closed = once(socket, "close");
    await manager.destroyById(session.id ?? "");
    expect((await closed)[0]).toBe(4001);
  });

  it("WebSockets: shows sockets that watch no session when they are refused", async () => {
    const manager = inMemory();
    const visitor = await manager.load();
    visitor.set("message", "Hello world!");
    await manager.commit(visitor);
    const headers = { cookie: `session=${visitor.token}` };
    const unwatched = vi.fn();
    const loadWatched = manager.loadWatched.bind(manager);
    vi.spyOn(manager, "loadWatched").mockImplementation(async (...given) => {
      const { session, unwatch } = await loadWatched(...given);
      return { session, unwatch: () => (unwatched(), unwatch()) };
    });
    const server = createServer();
    await pages.run(example("docs/guides/websockets.md", "websocket"), ["sockets"], { manager, server });
    const [error] = (await once(new WebSocket(await listen(server), { headers }), "error")) as [Error];
    expect(error.message).toContain("401");
    await expect.poll(() => unwatched.mock.calls.length).toBe(1);

    const other = createServer();
    const io = new SocketServer(other);
    const block = blocksOf("docs/guides/websockets.md").find(({ notes }) => notes.has("from")) ?? expect.unreachable();
    await pages.run(block, [], { manager, io, fromUpgrade: node.fromUpgrade });
    const socket = connectSocket(await listen(other), { extraHeaders: headers, forceNew: true, reconnection: false });
    const refused = await new Promise<Error>((resolve) => socket.on("connect_error", resolve));
    expect(refused.message).toBe("log in first");
    expect(unwatched).toHaveBeenCalledTimes(2);
    socket.close();
    await io.close();
  });

  it("WebSockets: shows a session read and changed with socket.io", async () => {
    const manager = inMemory();
    const session = await manager.load();
    session.set("message", "Hello world!");
    const { setCookie = "" } = await manager.commit(session);
    const server = createServer();
    const io = new SocketServer(server);
    await pages.run(example("docs/guides/websockets.md", "socket.io"), [], { manager, io });
    const url = await listen(server);
    for (const [transport, expected] of [
      ["websocket", "Hello world!"],
      ["polling", "websocket"],
    ] as const) {
      const cookie = setCookie.split(";", 1)[0] ?? "";
      const socket = connectSocket(url, { transports: [transport], extraHeaders: { cookie }, forceNew: true });
      expect(await new Promise((resolve) => socket.on("hello", resolve))).toBe(expected);
      await socket.emitWithAck("message", transport);
      socket.close();
    }
    expect((await manager.load(session.token)).get("message")).toBe("polling");
    await io.close();
  });

  it("Your own store: shows one that works", async () => {
    const { MapStore } = await pages.run(example("docs/databases/own-store.md", "store"), ["MapStore"]);
    const manager = new pgstore.SessionManager<Record<string, unknown>>(new (MapStore as new () => pgstore.Store)());
    const session = await manager.load();
    session.set("key", 1);
    await manager.commit(session);
    const again = await manager.load(session.token);
    expect(again.get("key")).toBe(1);
    await again.destroy();
    expect((await manager.load(session.token)).status).toBe("new");
  });

  it("Streaming and lazy sessions: show how", async () => {
    const manager = inMemory();
    const { events } = await pages.run(example("docs/recipes/streaming.md", "streaming"), ["events"], { manager });
    await serving(node.nodeHandler(manager, events as node.NodeListener), async ({ get }) => {
      const answer = await get("/events");
      expect(await answer.text()).toBe("data: first\n\ndata: last\n\n");
      expect((await manager.load(cookieOf(answer)?.split("=")[1])).get("watching")).toBe(true);
    });
    const store = new pgstore.MemoryStore({ cleanupInterval: 0 });
    const { hello } = await pages.run(example("docs/recipes/lazy.md", "lazy"), ["hello"], { ...pgstore, store });
    await serving(hello as node.NodeListener, async ({ get }) => {
      expect(await (await get("/health")).text()).toBe("ok");
      expect(await (await get("/")).text()).toBe("Hello stranger");
    });
  });

  it("Options: names every option, and no other", async () => {
    const { readFileSync } = await import("node:fs");
    const page = readFileSync(new URL("../../docs/options.md", import.meta.url), "utf8");
    const store = new pgstore.MemoryStore({ cleanupInterval: 0 });
    const optionsOf = (heading: string): string[] => {
      const table = page
        .slice(page.indexOf(heading))
        .split(/\n\n/)
        .find((part) => part.startsWith("| option"));
      return [...(table ?? "").matchAll(/^\| `([\w.]+)`/gm)].map((match) => match[1] ?? "");
    };
    const check = (names: string[], make: (options: object) => unknown): void => {
      expect(names.length).toBeGreaterThan(3);
      for (const name of names) {
        const [outer = "", inner] = name.split(".");
        const wrong = { toString: () => "wrong" };
        // An option that exists is refused for its value, one that doesn't for its name.
        expect(() => make({ [outer]: inner === undefined ? wrong : { [inner]: wrong } }), name).toThrow(TypeError);
        expect(() => make({ [outer]: inner === undefined ? wrong : { [inner]: wrong } }), name).not.toThrow(
          /no such option/,
        );
      }
    };
    check(optionsOf("`new SessionManager(store, options)`"), (options) => new pgstore.SessionManager(store, options));
    const db = { query: async () => ({ rows: [] }) };
    check(optionsOf("`new PgStore(db, options)`"), (options) => new pgstore.PgStore(db, options));
  });

  it("have no code that claims to be an example twice", () => {
    for (const page of ["README.md", "docs/start.md", "docs/guides/websockets.md"]) {
      const names = blocksOf(page).flatMap(({ notes }) => notes.get("example") ?? []);
      expect(new Set(names).size, page).toBe(names.length);
    }
  });
});
