import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import pg from "pg";
import { Server as SocketServer } from "socket.io";
import { io as connectSocket } from "socket.io-client";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import * as codecs from "../src/codecs.ts";
import * as csrf from "../src/csrf.ts";
import * as dashboards from "../src/dashboard.ts";
import * as pgstore from "../src/index.ts";
import * as node from "../src/node.ts";
import * as scs from "../src/scs.ts";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { cookieOf, serving } from "./support/serve.ts";

const readme = readFileSync(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8");

/** The code block that follows `<!-- example: name -->`. */
function example(name: string): string {
  const match = new RegExp(`<!-- example: ${name} -->\\s*\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(readme);
  if (match?.[1] === undefined) throw new Error(`the README has no example ${name}`);
  return match[1];
}

const modules: Record<string, object> = {
  pgstore,
  "pgstore/scs": scs,
  "pgstore/node": node,
  "pgstore/csrf": csrf,
  "pgstore/codecs": codecs,
  "pgstore/dashboard": dashboards,
};

/**
 * Runs an example: its imports are resolved to the sources, its servers to free ports, and what `returns` names is given
 * back. `scope` stands for what the README has defined before.
 */
async function run(
  name: string,
  returns: string[],
  scope: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const { code } = await transform(example(name), { loader: "ts", format: "esm", target: "node20" });
  const names: Record<string, unknown> = { ...scope, require: (id: string) => modules[id] ?? loaded[id] };
  const body = code.replace(/^import\s+(\w+|\{[^}]*\})\s+from\s+"([^"]+)";$/gm, (_, bound: string, id: string) =>
    bound.startsWith("{") ? `const ${bound} = require("${id}");` : `const ${bound} = require("${id}").default;`,
  );
  expect(body).not.toMatch(/^import /m);
  const result = `return { ${returns.join(", ")} };`;
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<never>;
  return new AsyncFunction(...Object.keys(names), `${body}\n${result}`)(...Object.values(names));
}

const servers: Server[] = [];
const pools: pg.Pool[] = [];
const loaded: Record<string, object> = {
  "node:http": {
    default: {
      createServer: (listener: RequestListener) => {
        const server = createServer(listener);
        servers.push(server);
        const listen = server.listen.bind(server);
        server.listen = ((port: number) => {
          expect(port).toBe(4000);
          return listen(0, "127.0.0.1");
        }) as typeof server.listen;
        return server;
      },
    },
  },
  pg: {
    default: {
      Pool: class extends pg.Pool {
        constructor(config: pg.PoolConfig) {
          super(config);
          pools.push(this);
        }
      },
    },
  },
};

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  vi.stubEnv("DATABASE_URL", database.url);
});
afterAll(async () => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  await Promise.all(pools.map((pool) => pool.end()));
  await database.drop();
});

async function urlOf(server: unknown): Promise<string> {
  await expect.poll(() => (server as Server).listening).toBe(true);
  return `http://127.0.0.1:${((server as Server).address() as AddressInfo).port}`;
}

describe("the README", () => {
  it("has a table that check finds nothing wrong with, under the names that migrate gives", async () => {
    const pool = database.pool();
    await pool.query(example("sql"));
    const store = new pgstore.PgStore(pool, { cleanupInterval: 0 });
    expect(await store.check()).toEqual([]);
    const indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'sessions' ORDER BY 1";
    const byHand = await pool.query(indexes);
    await pool.query("DROP TABLE sessions");
    await store.migrate();
    expect((await pool.query(indexes)).rows).toEqual(expect.arrayContaining(byHand.rows));
  });

  it("shows the example of SCS, complete", async () => {
    const { server, engine } = await run("scs", ["server", "engine"]);
    const url = await urlOf(server);
    const put = await fetch(`${url}/put`);
    expect(await put.text()).toBe("OK");
    const get = await fetch(`${url}/get`, { headers: { cookie: cookieOf(put) ?? "" } });
    expect(await get.text()).toBe("Hello world!");
    (engine as pgstore.PgStore).stopCleanup();
  });

  it("shows the same in pgstore's words", async () => {
    const { server, store } = await run("own", ["server", "store"]);
    const url = await urlOf(server);
    const put = await fetch(`${url}/put`);
    expect(await put.text()).toBe("Hello world! Visit 1.");
    expect(cookieOf(put)).toMatch(/^__Host-session=/);
    const get = await fetch(`${url}/`, { headers: { cookie: cookieOf(put) ?? "" } });
    expect(await get.text()).toBe("Hello world! Visit 2.");
    (store as pgstore.PgStore).stopCleanup();
  });

  it("shows how to clean up and stop", async () => {
    const pool = database.pool();
    await new pgstore.PgStore(pool, { cleanupInterval: 0 }).migrate();
    await pool.query("INSERT INTO sessions (token, data, expiry) VALUES ('expired', '', now() - interval '1 day')");
    await run("cleanup", [], { pool, PgStore: pgstore.PgStore });
    expect((await pool.query("SELECT FROM sessions WHERE token = 'expired'")).rowCount).toBe(0);
  });

  it("shows how to log in and how to stream", async () => {
    const manager = new pgstore.SessionManager(new pgstore.MemoryStore({ cleanupInterval: 0 }));
    const { logIn } = await run("login", ["logIn"], { manager });
    const { events } = await run("streaming", ["events"], { manager });
    const listener: node.NodeListener = (request, response) =>
      (request.url === "/login" ? (logIn as node.NodeListener) : (events as node.NodeListener))(request, response);
    await serving(node.nodeHandler(manager, listener), async ({ get }) => {
      const login = await get("/login");
      expect(login.status).toBe(303);
      const cookie = cookieOf(login) ?? "";
      const session = await manager.load(cookie.split("=")[1]);
      expect([session.userId, session.get("flash")]).toEqual(["user-42", "Welcome back."]);
      expect(await (await get("/events", cookie)).text()).toBe("data: first\n\ndata: last\n\n");
      expect((await manager.load(cookie.split("=")[1])).get("watching")).toBe(true);
    });
  });

  it("shows how to ask for a fresh login", async () => {
    const manager = new pgstore.SessionManager(new pgstore.MemoryStore({ cleanupInterval: 0 }));
    const { logIn } = await run("login", ["logIn"], { manager });
    const { changePassword, confirmPassword } = await run("fresh", ["changePassword", "confirmPassword"], { manager });
    const answers: Record<string, unknown> = {
      "/login": logIn,
      "/change": changePassword,
      "/confirm": confirmPassword,
    };
    const listener: node.NodeListener = (request, response) =>
      (answers[request.url ?? ""] as node.NodeListener)(request, response);
    await serving(node.nodeHandler(manager, listener), async ({ get }) => {
      expect([(await get("/change")).status, (await get("/confirm")).status]).toEqual([401, 401]);
      const changed = await get("/change", cookieOf(await get("/login")));
      expect(await changed.text()).toBe("user-42 may go on");
      expect((await get("/confirm", cookieOf(changed))).status).toBe(303);
    });
  });

  it("shows a user's sessions, and how to end them", async () => {
    const store = new pgstore.MemoryStore({ cleanupInterval: 0 });
    const manager = new pgstore.SessionManager(store, { recordIp: true, recordUserAgent: true });
    const { devices, passwordChanged } = await run("users", ["devices", "passwordChanged"], { manager });
    const answers: Record<string, unknown> = { "/devices": devices, "/changed": passwordChanged };
    const listener = node.nodeHandler(manager, async (request, response) => {
      const answer = answers[request.url ?? ""] as node.NodeListener | undefined;
      if (answer === undefined) await manager.sessionOf(request).login("user-42");
      return answer === undefined ? response.end() : answer(request, response);
    });
    await serving(listener, async ({ get }) => {
      const [mine = "", other = ""] = [cookieOf(await get("/login")), cookieOf(await get("/login"))];
      const list = (await (await get("/devices", mine)).text()).trim().split("\n");
      expect(list).toHaveLength(2);
      for (const line of list) expect(line).toMatch(/^\S+Z \S+Z 127\.0\.0\.1 node/);
      expect(list.filter((line) => line.endsWith("this one"))).toHaveLength(1);
      expect(await (await get("/changed", mine)).text()).toBe("1 other sessions have ended");
      expect((await manager.load(other.split("=")[1])).userId).toBe(undefined);
    });
  });

  it("shows how to mount the dashboard", async () => {
    const pool = database.pool();
    await pool.query("DROP TABLE IF EXISTS sessions, sessions_users, sessions_history");
    const store = new pgstore.PgStore(pool, { cleanupInterval: 0 });
    await store.migrate();
    const manager = new pgstore.SessionManager(store);
    const { site } = await run("dashboard", ["site"], { ...node, manager });
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

  it("shows how to load lazily", async () => {
    const store = new pgstore.MemoryStore({ cleanupInterval: 0 });
    const { hello } = await run("lazy", ["hello"], { ...pgstore, ...node, store });
    await serving(hello as node.NodeListener, async ({ get }) => {
      expect(await (await get("/health")).text()).toBe("ok");
      expect(await (await get("/")).text()).toBe("Hello stranger");
    });
  });

  it("shows how to protect forms", async () => {
    const manager = new pgstore.SessionManager(new pgstore.MemoryStore({ cleanupInterval: 0 }));
    const { form, submit } = await run("csrf", ["form", "submit"], { manager });
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

  it("shows how to encrypt", async () => {
    vi.stubEnv("SESSION_KEY", Buffer.alloc(32, 7).toString("base64"));
    const store = new pgstore.MemoryStore({ cleanupInterval: 0 });
    const { discreet } = await run("encrypted", ["discreet"], { ...pgstore, store });
    const manager = discreet as pgstore.SessionManager<Record<string, unknown>>;
    const session = await manager.load();
    session.set("secret", "the secret of the test");
    await manager.commit(session);
    expect((await manager.load(session.token)).get("secret")).toBe("the secret of the test");
    expect(Buffer.from((await store.find(session.id ?? ""))?.data ?? []).toString()).not.toContain("secret");
  });

  it("shows WebSockets", async () => {
    const manager = new pgstore.SessionManager<Record<string, unknown>>(
      new pgstore.MemoryStore({ cleanupInterval: 0 }),
    );
    const session = await manager.load();
    await session.login("ada");
    session.set("message", "Hello world!");
    await manager.commit(session);
    const server = createServer();
    servers.push(server);
    await run("websocket", ["sockets"], { ...node, WebSocketServer, manager, server });
    server.listen(0, "127.0.0.1");
    const url = (await urlOf(server)).replace("http:", "ws:");
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

  it("shows a session read and changed with socket.io", async () => {
    const manager = new pgstore.SessionManager(new pgstore.MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    session.set("message", "Hello world!");
    const { setCookie = "" } = await manager.commit(session);
    const server = createServer();
    servers.push(server);
    const io = new SocketServer(server);
    await run("socket.io", [], { ...node, manager, io });
    server.listen(0, "127.0.0.1");
    const url = await urlOf(server);
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

  it("shows a store of one's own", async () => {
    const { MapStore } = await run("store", ["MapStore"]);
    const manager = new pgstore.SessionManager(new (MapStore as new () => pgstore.Store)());
    const session = await manager.load();
    session.set("key", 1);
    await manager.commit(session);
    const again = await manager.load(session.token);
    expect(again.get("key")).toBe(1);
    await again.destroy();
    expect((await manager.load(session.token)).status).toBe("new");
  });

  it("names every option, and no other", () => {
    const optionsOf = (heading: string): string[] => {
      const table = readme
        .slice(readme.indexOf(heading))
        .split(/\n\n/)
        .find((part) => part.startsWith("| option"));
      return [...(table ?? "").matchAll(/^\| `([\w.]+)`/gm)].map((match) => match[1] ?? "");
    };
    const store = new pgstore.MemoryStore({ cleanupInterval: 0 });
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
});
