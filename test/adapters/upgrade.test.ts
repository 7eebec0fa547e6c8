import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { CsrfError, PgStore, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { fromUpgrade, nodeHandler, type UpgradedSession, type UpgradeOptions } from "../../src/node.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { GatedStore } from "../support/gated-store.ts";

type Data = Record<string, unknown>;

let database: TestDatabase;
let manager: SessionManager<Data>;
let other: SessionManager<Data>;
beforeAll(async () => {
  database = await createDatabase();
});
beforeEach(() => {
  const open = (): SessionManager<Data> =>
    new SessionManager<Data>(new PgStore(database.pool({ max: 3 }), { cleanupInterval: 0 }));
  [manager, other] = [open(), open()];
});
afterAll(() => database.drop());

/** A stored session, and the request of a handshake that presents it. */
async function handshake(): Promise<{ token: string; request: IncomingMessage }> {
  const session = await manager.load();
  await session.login("ada");
  session.set("key", "value");
  await manager.commit(session);
  const token = session.token ?? "";
  return { token, request: { headers: { cookie: `session=${token}` } } as IncomingMessage };
}

const aborted = (upgraded: UpgradedSession<Data>): Promise<unknown> =>
  upgraded.signal.aborted ? Promise.resolve() : once(upgraded.signal, "abort");

describe("fromUpgrade", () => {
  it("gives the session of the handshake, and reads it again", async () => {
    const { token, request } = await handshake();
    const upgraded = await fromUpgrade(manager, request);
    expect([upgraded.session.userId, upgraded.session.get("key")]).toEqual(["ada", "value"]);
    const elsewhere = await other.load(token);
    elsewhere.set("key", "newer");
    await other.commit(elsewhere);
    expect((await upgraded.reload()).get("key")).toBe("newer");
    expect(upgraded.session.get("key")).toBe("newer");
    expect(upgraded.signal.aborted).toBe(false);
    upgraded.close();
  });

  it("stores what a message changes, as often as there is one", async () => {
    const { token, request } = await handshake();
    const upgraded = await fromUpgrade(manager, request);
    for (let round = 0; round < 3; round++) {
      upgraded.session.update("n", (n) => Number(n ?? 0) + 1);
      await manager.commit(upgraded.session);
    }
    expect((await other.load(token)).get("n")).toBe(3);
    upgraded.close();
  });

  const ends: Record<string, (token: string) => Promise<unknown>> = {
    "is destroyed": async (token) => (await manager.load(token)).destroy(),
    "gets a new token": async (token) => (await manager.load(token)).renewToken(),
    "is destroyed by its id": async (token) => manager.destroyById((await manager.load(token)).id ?? ""),
  };
  for (const [how, end] of Object.entries(ends)) {
    it(`tells at once when the session ${how} in this process`, async () => {
      const { token, request } = await handshake();
      const upgraded = await fromUpgrade(manager, request, { checkInterval: 0 });
      await end(token);
      expect(upgraded.signal.aborted).toBe(true);
      expect((await upgraded.reload()).status).toBe("new");
    });
  }

  it("tells at the next look when another process ends it, or its time does", async () => {
    const { token, request } = await handshake();
    const upgraded = await fromUpgrade(manager, request, { checkInterval: 20 });
    await (await other.load(token)).destroy();
    await aborted(upgraded);
    const second = await handshake();
    const expiring = await fromUpgrade(manager, second.request, { checkInterval: 20 });
    await database.pool().query("UPDATE sessions SET expiry = current_timestamp - interval '1 minute'");
    await aborted(expiring);
  });

  it("tells on reload as well", async () => {
    const { token, request } = await handshake();
    const upgraded = await fromUpgrade(manager, request, { checkInterval: 0 });
    await (await other.load(token)).destroy();
    expect(upgraded.signal.aborted).toBe(false);
    expect((await upgraded.reload()).userId).toBe(undefined);
    expect(upgraded.signal.aborted).toBe(true);
  });

  it("gives who presents no session an empty one, whose signal stays quiet", async () => {
    for (const cookie of [undefined, "session=malformed", `session=${"x".repeat(43)}`]) {
      const upgraded = await fromUpgrade(manager, { headers: { cookie } } as IncomingMessage);
      expect([upgraded.session.status, upgraded.session.userId]).toEqual(["new", undefined]);
      expect((await upgraded.reload()).status).toBe("new");
      expect(upgraded.signal.aborted).toBe(false);
      upgraded.close();
    }
  });

  it("survives looks that fail, and stops them when it is closed", async () => {
    const store = new GatedStore();
    const local = new SessionManager<Data>(store);
    const session = await local.load();
    session.set("key", "value");
    await local.commit(session);
    const request = { headers: { cookie: `session=${session.token}` } } as IncomingMessage;
    const upgraded = await fromUpgrade(local, request, { checkInterval: 1 });
    const { find } = store;
    let failures = 0;
    store.find = () => {
      failures++;
      return Promise.reject(new Error("expected by the test"));
    };
    await expect.poll(() => failures).toBeGreaterThan(2);
    expect(upgraded.signal.aborted).toBe(false);
    store.find = find;
    const before = store.finds;
    await expect.poll(() => store.finds).toBeGreaterThan(before);
    upgraded.close();
    upgraded.close();
    await session.destroy();
    expect(upgraded.signal.aborted).toBe(false);
  });

  it("refuses a page of another host, unless it is told to trust it; who tells nothing is no browser", async () => {
    const { token } = await handshake();
    const open = async (headers: Record<string, string>, options: UpgradeOptions = {}): Promise<unknown> => {
      const all = { cookie: `session=${token}`, host: "app.example:8080", ...headers };
      try {
        const upgraded = await fromUpgrade(manager, { headers: all } as unknown as IncomingMessage, options);
        upgraded.close();
        return upgraded.session.userId;
      } catch (error) {
        return error instanceof CsrfError ? error.status : error;
      }
    };
    const cases: [Record<string, string>, UpgradeOptions, unknown][] = [
      [{}, {}, "ada"],
      [{ origin: "https://app.example:8080" }, {}, "ada"],
      [{ origin: "http://APP.example:8080", "sec-fetch-site": "cross-site" }, {}, "ada"],
      [{ origin: "https://app.example" }, {}, 403],
      [{ origin: "https://evil.app.example:8080" }, {}, 403],
      [{ origin: "https://evil.example:8080", "sec-fetch-site": "same-site" }, {}, 403],
      [{ origin: "https://evil.example", "sec-fetch-site": "cross-site" }, { sameSite: true }, 403],
      [{ origin: "null" }, {}, 403],
      [{ origin: "" }, {}, 403],
      [{ "sec-fetch-site": "cross-site" }, {}, 403],
      [{ origin: "https://www.example" }, { origins: ["https://www.example"] }, "ada"],
      [{ origin: "http://www.example" }, { origins: ["https://www.example"] }, 403],
      [{ origin: "https://www.example", "sec-fetch-site": "same-site" }, { sameSite: true }, "ada"],
    ];
    for (const [headers, options, expected] of cases) {
      expect(await open(headers, options), JSON.stringify([headers, options])).toBe(expected);
    }
  });

  it("notices an end in this process that falls into its own load", async () => {
    const store = new GatedStore();
    const local = new SessionManager<Data>(store);
    const session = await local.load();
    session.set("key", "value");
    await local.commit(session);
    const request = { headers: { cookie: `session=bad; session=${session.token}` } } as IncomingMessage;
    const { find } = store;
    store.find = async (id) => {
      store.find = find;
      const found = await store.find(id);
      await local.destroyById(session.id ?? "");
      return found;
    };
    const upgraded = await fromUpgrade(local, request, { checkInterval: 0 });
    expect(upgraded.signal.aborted).toBe(true);
    expect((await upgraded.reload()).status).toBe("new");
  });

  it("ends a socket at its session's known expiry, though the store can't be asked", async () => {
    const store = new GatedStore();
    const local = new SessionManager<Data>(store);
    const session = await local.load();
    session.set("key", "value");
    session.setDeadline(new Date(Date.now() + 300));
    await local.commit(session);
    const request = { headers: { cookie: `session=${session.token}` } } as IncomingMessage;
    const upgraded = await fromUpgrade(local, request, { checkInterval: 0 });
    store.find = () => Promise.reject(new Error("expected by the test"));
    expect(upgraded.signal.aborted).toBe(false);
    await aborted(upgraded);
    expect(Date.now()).toBeGreaterThanOrEqual(session.deadline.getTime());
  });

  it("lets a socket go on whose session's expiry has been moved meanwhile, and asks no more when it has ended", async () => {
    const store = new GatedStore();
    const local = new SessionManager<Data>(store);
    const session = await local.load();
    session.set("key", "value");
    session.setDeadline(new Date(Date.now() + 200));
    await local.commit(session);
    const request = { headers: { cookie: `session=${session.token}` } } as IncomingMessage;
    const upgraded = await fromUpgrade(local, request, { checkInterval: 0 });
    const again = await local.load(session.token);
    again.setDeadline(new Date(Date.now() + 60_000));
    await local.commit(again);
    const before = store.finds;
    await expect.poll(() => store.finds).toBe(before + 1);
    expect(upgraded.signal.aborted).toBe(false);
    const looking = await fromUpgrade(local, request, { checkInterval: 1 });
    await again.destroy();
    expect([upgraded.signal.aborted, looking.signal.aborted]).toEqual([true, true]);
    // One look may have been under way.
    await new Promise((resolve) => setTimeout(resolve, 20));
    // Of a session that has ended the store tells without a find.
    const lookUp = store.lookUp.bind(store);
    let looks = 0;
    store.lookUp = (token) => (looks++, lookUp(token));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(looks).toBe(0);
  });

  it("fails when the session can't be loaded, or an option is wrong", async () => {
    const { request } = await handshake();
    await expect(fromUpgrade(manager, request, { origin: [] } as never)).rejects.toThrow(/^origin: there is no such/);
    await expect(fromUpgrade(manager, request, { origins: ["x"] })).rejects.toThrow(/^origins: /);
    await expect(fromUpgrade(manager, request, { checkInterval: "often" as never })).rejects.toThrow(
      /^checkInterval: /,
    );
    await expect(fromUpgrade(manager, request, { checkInterval: "300d" })).rejects.toThrow(/^checkInterval: /);
    const store = new GatedStore();
    store.find = () => Promise.reject(new Error("expected by the test"));
    await expect(fromUpgrade(new SessionManager(store), request)).rejects.toThrow("expected by the test");
  });

  it("leaves nothing behind when the store can't tell the time", async () => {
    const store = new GatedStore();
    const now = vi.spyOn(store, "now");
    const memory = new SessionManager<Data>(store);
    const session = await memory.load();
    session.set("key", "value");
    await memory.commit(session);
    const request = { headers: { cookie: `session=${session.token}` } } as IncomingMessage;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const lookedUp = vi.spyOn(store, "lookUp");
    now.mockImplementation(() => Promise.reject(new StoreUnavailableError("away")) as never);
    await expect(fromUpgrade(memory, request)).rejects.toThrow("away");
    expect(lookedUp).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(lookedUp).toHaveBeenCalledTimes(1);
  });

  it("closes the sockets of a session that logs out over HTTP", async () => {
    const server = http.createServer(
      nodeHandler(manager, async (request, response) => {
        await manager.sessionOf(request).logout();
        response.end();
      }),
    );
    const sockets = new WebSocketServer({ noServer: true });
    server.on("upgrade", (request, socket, head) => {
      void fromUpgrade(manager, request).then((upgraded) => {
        if (upgraded.session.userId === undefined) return socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
        return sockets.handleUpgrade(request, socket, head, (ws) => {
          upgraded.signal.addEventListener("abort", () => ws.close(4001, "logged out"));
          ws.on("close", () => upgraded.close());
        });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { token } = await handshake();
    const headers = { cookie: `session=${token}` };
    const anonymous = new WebSocket(`ws://127.0.0.1:${port}`);
    const [refusal] = (await once(anonymous, "unexpected-response").then((args) => args.slice(1))) as [IncomingMessage];
    expect(refusal.statusCode).toBe(401);
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
    await once(socket, "open");
    const closed = once(socket, "close");
    await fetch(`http://127.0.0.1:${port}`, { headers });
    expect((await closed)[0]).toBe(4001);
    sockets.close();
    server.close();
    server.closeAllConnections();
  });
});
