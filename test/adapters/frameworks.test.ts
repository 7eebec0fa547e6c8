import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import express from "express";
import createFastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import polka from "polka";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Session, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import fastifySession from "../../src/fastify.ts";
import honoSession from "../../src/hono.ts";
import koaSession from "../../src/koa.ts";
import { connect } from "../../src/node.ts";
import { GatedStore } from "../support/gated-store.ts";
import { cookieOf, serving } from "../support/serve.ts";

const down = new StoreUnavailableError("expected by the test");

describe("connect on Polka", () => {
  it("answers a failed load, though Polka's own error handler throws", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => logged.mockRestore());
    const store = new GatedStore();
    store.find = () => Promise.reject(down);
    const app = polka();
    app.use(connect(new SessionManager(store)) as never);
    app.get("/", (_request, response) => response.end("secret"));
    await serving(app.handler as never, async ({ get }) => {
      const response = await get("/", `session=${"a".repeat(43)}`);
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
      expect(logged).toHaveBeenCalledWith(expect.stringContaining("error handler failed"), expect.any(RangeError));
      expect((await get("/")).status).toBe(200);
    });
  });

  it("cuts off an answer that had begun when the error handler throws", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => logged.mockRestore());
    const middleware = connect(new SessionManager(new GatedStore()));
    await serving(
      (request, response) =>
        middleware(request, response, (error) => {
          if (error !== undefined) throw new Error("of the error handler");
          response.write("half");
          throw new Error("of the handler");
        }),
      async ({ get }) => {
        const cookie = `session=${"a".repeat(43)}`;
        await expect(get("/", cookie).then((response) => response.text())).rejects.toThrow();
        expect(logged).toHaveBeenCalledOnce();
      },
    );
  });
});

describe("pgstore/fastify", () => {
  it("stores what the application's own onSend hooks still write", async () => {
    const manager = new SessionManager<Record<string, unknown>>(new GatedStore());
    const app = createFastify();
    await app.register(fastifySession, { manager });
    app.addHook("onSend", async (request) => {
      manager.sessionOf(request).set("key", "late");
    });
    app.get("/put", async () => ({ ok: true }));
    app.get("/get", async (request) => ({ key: request.session.get("key") }));
    const put = await app.inject("/put");
    const cookie = String(put.headers["set-cookie"]).split(";")[0] ?? "";
    const get = await app.inject({ url: "/get", headers: { cookie } });
    expect(get.json()).toEqual({ key: "late" });
    await app.close();
  });

  it("holds hijacked replies and raw writes back as well", async () => {
    const store = new GatedStore();
    const app = createFastify();
    await app.register(fastifySession, { manager: new SessionManager(store) });
    app.get("/", (request, reply) => {
      request.session.set("key", "value");
      reply.hijack();
      reply.raw.writeHead(200, { "Content-Type": "text/event-stream" });
      reply.raw.write("data: 1\n\n");
      reply.raw.end();
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const response = await fetch(url);
    expect([await response.text(), cookieOf(response) !== undefined, store.writes]).toEqual(["data: 1\n\n", true, 1]);
    await app.close();
  });

  it("gives a failed load to the application's error handler, its reason as the cause", async () => {
    const store = new GatedStore();
    store.find = () => Promise.reject(down);
    const app = createFastify();
    await app.register(fastifySession, { manager: new SessionManager(store) });
    app.get("/", async () => "secret");
    app.setErrorHandler((error, _request, reply) => {
      expect((error as Error).cause).toBe(down);
      return reply.code(503).send("sorry");
    });
    const response = await app.inject({ url: "/", headers: { cookie: `session=${"x".repeat(43)}` } });
    expect([response.statusCode, response.body]).toEqual([503, "sorry"]);
    await app.close();
  });

  it("logs a failed commit with the request's logger", async () => {
    const store = new GatedStore();
    store.failure = down;
    const lines: string[] = [];
    const app = createFastify({
      logger: { level: "error", stream: { write: (line: string) => void lines.push(line) } },
    });
    await app.register(fastifySession, { manager: new SessionManager(store) });
    app.get("/", async (request) => {
      request.session.set("key", "value");
      return "secret";
    });
    const response = await app.inject("/");
    expect([response.statusCode, response.body]).toEqual([500, "Internal Server Error\n"]);
    expect(lines.join()).toContain("expected by the test");
    await app.close();
  });

  it("streams, and an error of the stream ends the response", async () => {
    const app = createFastify();
    await app.register(fastifySession, { manager: new SessionManager(new GatedStore()) });
    app.get("/", (request, reply) => {
      request.session.set("key", "value");
      const body = Readable.from(
        (async function* () {
          yield "first";
          await new Promise((resolve) => setTimeout(resolve, 20));
          throw new Error("expected by the test");
        })(),
      );
      return reply.type("text/plain").send(body);
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const response = await fetch(url);
    expect(cookieOf(response)).toMatch(/^session=/);
    await expect(response.text()).rejects.toThrow();
    await app.close();
  });

  it("refuses what is no manager", async () => {
    await expect(
      createFastify()
        .register(fastifySession, { manager: {} as never })
        .ready(),
    ).rejects.toThrow(/^manager: /);
    const manager = new SessionManager(new GatedStore());
    await expect(createFastify().register(fastifySession, { manager, property: "" }).ready()).rejects.toThrow(
      /^property: /,
    );
  });
});

describe("pgstore/hono", () => {
  it("gives failures to app.onError, without what the response had", async () => {
    const store = new GatedStore();
    store.failure = down;
    const seen: unknown[] = [];
    const app = new Hono().use(honoSession(new SessionManager<Record<string, unknown>>(store)));
    app.onError((error, context) => {
      seen.push(error);
      return context.text("sorry", 503);
    });
    const typed = app.get("/", (context) => {
      context.header("ETag", '"1"');
      context.header("Set-Cookie", "a=1");
      context.var.session.set("key", "value");
      return context.text("secret");
    });
    const response = await typed.request("/");
    expect([response.status, await response.text(), response.headers.get("ETag")]).toEqual([503, "sorry", null]);
    expect(response.headers.getSetCookie()).toEqual([]);
    expect(seen).toEqual([down]);
  });

  it("knows the data's types, under the name that it is given", async () => {
    const manager = new SessionManager<{ visits: number }>(new GatedStore());
    const app = new Hono().use(honoSession(manager, { property: "mine" })).get("/", (context) => {
      const visits: number = context.var.mine.update("visits", (n = 0) => n + 1);
      return context.json({ visits });
    });
    expect(await (await app.request("/")).json()).toEqual({ visits: 1 });
  });
});

describe("pgstore/koa", () => {
  it("follows app.proxy, and holds back what the application writes to the raw response", async () => {
    const store = new GatedStore();
    const app = new Koa<Koa.DefaultState, { session: Session }>();
    app.proxy = true;
    app.use(koaSession(new SessionManager(store)));
    app.use((context) => {
      context.session.set("key", "value");
      context.respond = false;
      context.res.end("raw");
    });
    await serving(app.callback(), async ({ url }) => {
      const response = await fetch(url, { headers: { "x-forwarded-proto": "https" } });
      expect([await response.text(), store.writes]).toEqual(["raw", 1]);
      expect(response.headers.getSetCookie()[0]).toContain("Secure");
    });
  });
});

describe("pgstore/hono", () => {
  it("loads and stores once when it stands twice in the way", async () => {
    const store = new GatedStore();
    const manager = new SessionManager(store);
    const app = new Hono().use(honoSession(manager)).use(honoSession(manager));
    app.get("/", (context) => {
      context.var.session.set("key", "value");
      return context.text("body");
    });
    const response = await app.request("/");
    expect([await response.text(), store.writes, response.headers.getSetCookie().length]).toEqual(["body", 1, 1]);
  });

  it("gives its error handler an Error, whatever a store rejects with", async () => {
    const seen: unknown[] = [];
    const store = new GatedStore();
    const app = new Hono().use(honoSession(new SessionManager(store)));
    app.get("/", (context) => {
      context.var.session.set("key", "value");
      return context.text("body", 200, { ETag: "1", "X-Frame-Options": "DENY" });
    });
    app.onError((error, context) => {
      seen.push(error.cause ?? error);
      return context.text("sorry", 503);
    });
    store.failure = "no Error" as never;
    const notStored = await app.request("/");
    expect([notStored.status, notStored.headers.get("ETag")]).toEqual([503, null]);
    expect([notStored.headers.get("X-Frame-Options"), notStored.headers.get("Vary")]).toEqual(["DENY", "Cookie"]);
    store.find = () => Promise.reject(down);
    const notRead = await app.request("/", { headers: { cookie: `session=${"a".repeat(43)}` } });
    expect([notRead.status, notRead.headers.get("Vary")]).toEqual([503, "Cookie"]);
    expect(seen).toEqual(["no Error", down]);
  });
});

describe("a client of Koa that goes before the first byte", () => {
  it("has its session stored", async () => {
    const store = new GatedStore();
    const app = new Koa<Koa.DefaultState, { session: Session }>().use(koaSession(new SessionManager(store)));
    app.use(async (context) => {
      context.session.set("key", "value");
      context.respond = false;
      const closed = once(context.res, "close");
      context.req.socket.destroy();
      await closed;
    });
    await serving(app.callback(), async ({ get }) => {
      await expect(get("/")).rejects.toThrow();
      await expect.poll(() => store.writes).toBe(1);
    });
  });
});

describe("an error page of the framework", () => {
  const failing = new GatedStore();
  failing.find = () => Promise.reject(down);
  const cookie = `session=${"a".repeat(43)}`;
  const quiet = (): void => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => logged.mockRestore());
  };

  it("depends on the cookie, with Koa, which takes every header off", async () => {
    quiet();
    for (const store of [failing, new GatedStore()]) {
      const app = new Koa<Koa.DefaultState, { session: Session }>().use(koaSession(new SessionManager(store)));
      app.use((context) => {
        context.session.set("key", "value");
        throw new Error("expected by the test");
      });
      await serving(app.callback(), async ({ get }) => {
        const response = await get("/", cookie);
        expect([response.status, response.headers.get("Vary")]).toEqual([500, "Cookie"]);
      });
    }
  });

  it("depends on the cookie, with Express", async () => {
    quiet();
    for (const store of [failing, new GatedStore()]) {
      const app = express().use(connect(new SessionManager(store)));
      app.get("/", (request) => {
        request.session.get("key");
        throw new Error("expected by the test");
      });
      await serving(app, async ({ get }) => {
        const response = await get("/", cookie);
        expect([response.status, response.headers.get("Vary")]).toEqual([500, "Cookie"]);
      });
    }
  });
});

describe("connect in Express", () => {
  it('follows "trust proxy", and only that', async () => {
    for (const trusted of [true, false]) {
      const app = express();
      app.set("trust proxy", trusted);
      app.use(connect(new SessionManager(new GatedStore())));
      app.get("/", (request, response) => {
        // As an application has it that declares no SessionData: any key.
        request.session.set("key", "value");
        response.send("ok");
      });
      const server = createServer(app).listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const { port } = server.address() as AddressInfo;
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { "x-forwarded-proto": "https" } });
      expect(response.headers.getSetCookie()[0]?.includes("Secure")).toBe(trusted);
      server.close();
      server.closeAllConnections();
    }
  });
});
