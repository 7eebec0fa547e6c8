import express from "express";
import { Hono } from "hono";
import Koa from "koa";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ExpressSessionStore } from "../../src/express-session.ts";
import honoSession from "../../src/hono.ts";
import { MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import koaSession from "../../src/koa.ts";
import { connect, nodeHandler, type NodeListener } from "../../src/node.ts";
import type { PassportSession } from "../../src/lib/adapters/passport/session.ts";
import { serving } from "../support/serve.ts";

afterEach(() => vi.restoreAllMocks());

/** Throws a value that need not be an error. */
function fail(value: unknown): never {
  // oxlint-disable-next-line typescript/only-throw-error -- the subject of this test
  throw value;
}

/** A store that can't be read, and says so by a value of any kind. */
function unreadable(failure: unknown): SessionManager {
  const store = new MemoryStore({ cleanupInterval: 0 });
  store.lookUp = async () => fail(failure);
  return new SessionManager(store);
}

describe("a load that rejects with a value other than an Error", () => {
  const HOSTS: Record<string, (manager: SessionManager, handler: () => string) => NodeListener> = {
    Express: (manager, handler) =>
      express()
        .set("env", "test")
        .use(connect(manager))
        .use((_request, response) => void response.send(handler()))
        .use(((_error, _request, response, _next) => {
          response.status(500).end();
        }) as express.ErrorRequestHandler),
    Koa: (manager, handler) => {
      const app = new Koa();
      app.silent = true;
      app.use(koaSession(manager)).use((context) => void (context.body = handler()));
      return app.callback();
    },
  };
  for (const [name, hostOf] of Object.entries(HOSTS)) {
    it.each([undefined, null, 0, "", false, "router"])(`never runs the handler in ${name}: %j`, async (failure) => {
      const handler = vi.fn<() => string>(() => "secret");
      await serving(hostOf(unreadable(failure), handler), async ({ get }) => {
        expect((await get("/", `session=${"x".repeat(43)}`)).status).toBe(500);
      });
      expect(handler).not.toHaveBeenCalled();
    });
  }
});

describe("a store's callback for a rejection with a value other than an Error", () => {
  it("gets an error from ExpressSessionStore", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    store.end = async () => fail(undefined);
    const adapter = new ExpressSessionStore({ store });
    expect(await new Promise((resolve) => adapter.destroy("sid", resolve))).toBeInstanceOf(Error);
  });

  it("may be no function, in which case ExpressSessionStore returns a promise", async () => {
    const adapter = new ExpressSessionStore({ store: new MemoryStore({ cleanupInterval: 0 }) });
    const session = { cookie: {}, key: 1 };
    for (const given of [undefined, null, 86_400_000]) {
      await Reflect.apply(adapter.set, adapter, ["sid", session, given]);
      expect(await (Reflect.apply(adapter.get, adapter, ["sid", given]) as unknown)).toMatchObject({ key: 1 });
      await Reflect.apply(adapter.touch, adapter, ["sid", session, given]);
    }
    await Reflect.apply(adapter.destroy, adapter, ["sid", null]);
    expect(await adapter.get("sid")).toBe(undefined);
  });

  it("may be null, in which case the session that Passport uses returns a promise", async () => {
    const app = express().use(connect(new SessionManager(new MemoryStore({ cleanupInterval: 0 })), { passport: true }));
    app.get("/:method", async (request, response) => {
      const session = request.session as unknown as PassportSession;
      session["key"] = 1;
      await Reflect.apply(request.params.method === "save" ? session.save : session.destroy, session, [null]);
      response.send(session.status);
    });
    await serving(app, async ({ get }) => {
      expect(await (await get("/save")).text()).toBe("unmodified");
      expect(await (await get("/destroy")).text()).toBe("destroyed");
    });
  });

  it("gets an error from the session that Passport uses", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    store.create = async () => fail(undefined);
    const manager = new SessionManager(store);
    const app = express().use(connect(manager, { passport: true }));
    app.get("/", (request, response) => {
      const session = request.session as unknown as PassportSession;
      session["passport"] = { user: "ada" };
      session.save((error) => response.send(String(error instanceof Error)));
    });
    await serving(app, async ({ get }) => expect(await (await get("/")).text()).toBe("true"));
  });
});

describe("nodeHandler", () => {
  const revocable = Proxy.revocable({}, {});
  revocable.revoke();
  const unprintable = { [Symbol.for("nodejs.util.inspect.custom")]: () => fail(new Error("expected by the test")) };

  it.each([
    ["a revoked proxy", revocable.proxy],
    ["an object that can't be printed", unprintable],
  ])("answers %s that its listener or onError throws", async (_title, thrown) => {
    const logged: string[] = [];
    // As the console itself, it looks at its arguments.
    vi.spyOn(console, "error").mockImplementation((text: string, value?: unknown) => {
      if (value !== undefined)
        String((value as { [key: symbol]: () => string })[Symbol.for("nodejs.util.inspect.custom")]?.());
      logged.push(text);
    });
    for (const options of [{}, { onError: () => fail(thrown) }]) {
      const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }), options);
      await serving(
        nodeHandler(manager, () => fail(thrown)),
        async ({ get }) => expect((await get("/")).status).toBe(500),
      );
    }
    expect(logged).toEqual(Array.from({ length: 2 }, () => "pgstore: the request failed: the error can't be shown"));
  });
});

describe("pgstore/hono", () => {
  it("stores the session of a handler that throws no error, and tells of a login", async () => {
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }));
    const app = new Hono().use(honoSession(manager)).use(honoSession(manager));
    app.get("/", async (context) => {
      await (context.var as { session: Session }).session.login("ada");
      return fail("no error");
    });
    const causes: unknown[] = [];
    app.onError((error, context) => {
      causes.push(error.cause);
      return context.text("sorry", 500);
    });
    const response = await app.request("/");
    expect([response.status, await response.text(), causes]).toEqual([500, "sorry", ["no error"]]);
    const [cookie = ""] = response.headers.getSetCookie();
    expect((await manager.load(cookie.split(/[=;]/)[1])).userId).toBe("ada");
    expect(response.headers.get("Cache-Control")).toContain("no-store");
  });
});

describe("a login whose client can't be told", () => {
  it.each([false, true])("is stored and announced; the session is new: %s", async (isNew) => {
    const announced: unknown[] = [];
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }), {
      onLogin: ({ userId, ip }) => void announced.push([userId, ip]),
    });
    const app = express().set("env", "test");
    let fails = false;
    app.set("trust proxy", () => (fails ? fail(new Error("expected by the test")) : true));
    app.use(connect(manager));
    app.get("/", async (request, response) => {
      const { session } = request;
      session.set("key", 1);
      if (!isNew) await manager.commit(session);
      fails = true;
      await session.login("ada");
      await manager.commit(session);
      fails = false;
      response.send("in");
    });
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    await serving(app, async ({ url }) => {
      const response = await fetch(url, { headers: { "X-Forwarded-For": "192.0.2.1" } });
      expect([response.status, await response.text()]).toEqual([200, "in"]);
    });
    expect(announced).toEqual([["ada", undefined]]);
    expect(logged).toHaveBeenCalledOnce();
  });
});
