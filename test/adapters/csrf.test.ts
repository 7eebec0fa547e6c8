import http from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import createConnect from "connect";
import express from "express";
import fc from "fast-check";
import createFastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import polka from "polka";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CsrfError, csrfProtection, type CsrfOptions, type CsrfRequest } from "../../src/csrf.ts";
import { session as fastifySession } from "../../src/fastify.ts";
import { fetchHandler } from "../../src/fetch.ts";
import { session as honoSession } from "../../src/hono.ts";
import { type Duration, type LazySession, MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import { session as koaSession } from "../../src/koa.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../../src/lib/http/csrf-token.ts";
import { createToken } from "../../src/lib/core/token.ts";
import { connect, nodeHandler, type NodeListener } from "../../src/node.ts";

/** Another version by an alias, which types don't know. */
const express4 = createRequire(import.meta.url)("express-4") as typeof express;

type Data = Record<string, unknown>;
type Manager = SessionManager<Data>;

type Protection = ReturnType<typeof csrfProtection>;

const csrf = csrfProtection();

/** GET gives a token; POST /login and POST / do something; what was posted has been verified by then. */
async function act(csrf: Protection, session: Session<Data>, method: string, path: string): Promise<string> {
  if (method === "GET" || method === "HEAD") return csrf.token(session);
  if (path === "/login") await session.login("ada");
  return "done";
}

async function listen(listener: NodeListener): Promise<string> {
  const server = http.createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Reads a posted form on bare Node. */
async function formOf(request: http.IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

/** A parser of forms for Connect and Polka. */
function withBody(request: http.IncomingMessage, _response: object, next: (error?: unknown) => void): void {
  formOf(request).then((form) => {
    Object.assign(request, { body: Object.fromEntries(form) });
    next();
  }, next);
}

const hosts: Record<string, (manager: Manager, csrf: Protection) => Promise<string>> = {
  "node:http": (manager, csrf) =>
    listen(
      nodeHandler(manager, async (request, response) => {
        const session = manager.sessionOf(request);
        csrf.verify(session, request, (await formOf(request)).get("_csrf"));
        response.end(await act(csrf, session, request.method ?? "", request.url ?? ""));
      }),
    ),
  Express: (manager, csrf) => {
    const app = express();
    app.set("env", "test");
    app.use(connect(manager), express.urlencoded({ extended: false }), csrf.connect(manager));
    app.use(async (request, response) => {
      response.send(await act(csrf, manager.sessionOf(request), request.method, request.path));
    });
    return listen(app);
  },
  "Express 4": (manager, csrf) => {
    const app = express4();
    app.set("env", "test");
    app.use(connect(manager), express4.urlencoded({ extended: false }), csrf.connect(manager));
    app.use((request, response, next) => {
      act(csrf, manager.sessionOf(request), request.method, request.path).then((text) => response.send(text), next);
    });
    return listen(app);
  },
  Connect: (manager, csrf) => {
    const app = createConnect();
    app.use(connect(manager));
    app.use(withBody as never);
    app.use(csrf.connect(manager));
    app.use((request, response, next) => {
      const { method = "", url = "" } = request;
      act(csrf, manager.sessionOf(request), method, url).then((text) => response.end(text), next);
    });
    return listen(app);
  },
  Polka: (manager, csrf) => {
    // Its own error handler takes an error's code for a status, and throws.
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => logged.mockRestore());
    const app = polka();
    app.use(connect(manager) as never, withBody as never, csrf.connect(manager) as never);
    app.use(((request: http.IncomingMessage, response: http.ServerResponse) => {
      void act(csrf, manager.sessionOf(request), request.method ?? "", request.url ?? "").then((text) =>
        response.end(text),
      );
    }) as never);
    return listen(app.handler as never);
  },
  Koa: (manager, csrf) => {
    const app = new Koa();
    app.silent = true;
    app.use(koaSession(manager));
    app.use(async (context, next) => {
      if (context.method === "POST") {
        const form = Object.fromEntries(await formOf(context.req));
        Object.assign(context.request, { body: form });
      }
      await next();
    });
    app.use(csrf.koa(manager));
    app.use(async (context) => {
      context.body = await act(csrf, manager.sessionOf(context), context.method, context.path);
    });
    return listen(app.callback());
  },
  Fastify: async (manager, csrf) => {
    const app = createFastify();
    app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(String(body)))),
    );
    await app.register(fastifySession, { manager });
    app.addHook("preHandler", csrf.fastify(manager));
    app.all("/*", (request) => act(csrf, manager.sessionOf(request), request.method, request.url));
    onTestFinished(() => app.close());
    return app.listen({ port: 0, host: "127.0.0.1" });
  },
  Hono: (manager, csrf) => {
    const app = new Hono();
    app.use(honoSession(manager), csrf.hono(manager));
    app.all("*", async (context) => {
      if (context.req.method === "POST") await context.req.parseBody();
      // The status stands there because @hono/node-server answers a HEAD with 500 where it does not.
      return context.text(await act(csrf, manager.sessionOf(context), context.req.method, context.req.path), 200);
    });
    return listen(getRequestListener(app.fetch));
  },
  fetch: (manager, csrf) => {
    const handler = csrf.fetch(async (request: Request, session: Session<Data>) => {
      // Still there to be read.
      if (request.method === "POST") await request.formData();
      return new Response(await act(csrf, session, request.method, new URL(request.url).pathname));
    });
    return listen(getRequestListener(fetchHandler(manager, handler)));
  },
};

describe("csrfProtection", () => {
  for (const [name, host] of Object.entries(hosts)) {
    it(`lets only this session's own forms through: ${name}`, async () => {
      const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
      const url = await host(manager, csrf);
      const open = async (cookie = ""): Promise<{ cookie: string; token: string }> => {
        const response = await fetch(url, { headers: { cookie } });
        const [set] = response.headers.getSetCookie();
        return { cookie: set?.split(";")[0] ?? cookie, token: await response.text() };
      };
      const post = (
        { cookie }: { cookie: string },
        token: string | undefined,
        { path = "/", headers = {}, inHeader = false }: { path?: string; headers?: object; inHeader?: boolean } = {},
      ): Promise<Response> =>
        fetch(url + path, {
          method: "POST",
          headers: { cookie, ...(inHeader && token !== undefined ? { "X-CSRF-Token": token } : {}), ...headers },
          body: new URLSearchParams(inHeader || token === undefined ? { other: "1" } : { _csrf: token }),
        });

      const [ada, eve] = [await open(), await open()];
      expect(ada.cookie).toMatch(/^session=/);
      // Another text each time, and all of them good.
      const again = await open(ada.cookie);
      expect(again.token).not.toBe(ada.token);
      for (const { token } of [ada, again]) {
        expect((await post(ada, token)).status).toBe(200);
        expect((await post(ada, token, { inHeader: true })).status).toBe(200);
      }
      const sites = [
        { "Sec-Fetch-Site": "cross-site" },
        { "Sec-Fetch-Site": "same-site" },
        { Origin: "https://evil.example" },
        { Origin: "null" },
        { Referer: "https://evil.example/page" },
        { Referer: "nonsense" },
      ];
      const refusals = [
        post(ada, undefined),
        post(ada, ""),
        post(ada, eve.token),
        post(ada, eve.token, { inHeader: true }),
        post(ada, `${ada.token}x`),
        post({ cookie: "" }, ada.token),
        ...sites.map((headers) => post(ada, ada.token, { headers })),
      ];
      for (const response of await Promise.all(refusals)) {
        expect(response.status).toBe(403);
        expect(response.headers.getSetCookie()).toEqual([]);
        expect(await response.text()).not.toMatch(/done|[\w-]{43}/);
      }
      const own = [{ "Sec-Fetch-Site": "same-origin", Origin: url }, { Origin: url }, { Referer: `${url}/page` }];
      for (const headers of own) expect((await post(ada, ada.token, { headers })).status).toBe(200);

      const login = await post(ada, ada.token, { path: "/login" });
      expect(login.status).toBe(200);
      const [set = ""] = login.headers.getSetCookie();
      const after = { cookie: set.split(";")[0] ?? "" };
      expect((await post(after, ada.token)).status).toBe(403);
      expect((await post(after, (await open(after.cookie)).token)).status).toBe(200);
    });
  }

  for (const [name, host] of Object.entries(hosts)) {
    it(`makes no row for who sees no form, and a short-lived one for a visitor who does: ${name}`, async () => {
      const store = new MemoryStore({ cleanupInterval: 0 });
      const url = await host(new SessionManager<Data>(store), csrfProtection({ formLifetime: "10m" }));
      const advance = [{ "Sec-Purpose": "prefetch;prerender" }, { Purpose: "prefetch" }, { "X-Moz": "prefetch" }];
      const visits = [
        { method: "HEAD" },
        ...advance.map((headers) => ({ headers: headers as Record<string, string> })),
      ];
      for (const response of await Promise.all(visits.map((visit) => fetch(url, visit)))) {
        expect([response.status, response.headers.getSetCookie()]).toEqual([200, []]);
      }
      expect(await store.count()).toBe(0);
      await (await fetch(url)).text();
      for await (const { expiry } of store.all()) {
        expect(expiry.getTime() - Date.now()).toBeGreaterThan(9 * 60_000);
        expect(expiry.getTime() - Date.now()).toBeLessThanOrEqual(10 * 60_000);
      }
      expect(await store.count()).toBe(1);
    });

    it(`tells pages apart by their origin alone, without a row, where it is told to: ${name}`, async () => {
      const store = new MemoryStore({ cleanupInterval: 0 });
      const url = await host(new SessionManager<Data>(store), csrfProtection({ method: "origin" }));
      const page = await fetch(url);
      expect([await page.text(), page.headers.getSetCookie()]).toEqual(["", []]);
      const post = async (headers: Record<string, string>): Promise<number> => {
        const response = await fetch(url, { method: "POST", headers, body: new URLSearchParams({ a: "1" }) });
        await response.text();
        return response.status;
      };
      const own = [
        {},
        { "Sec-Fetch-Site": "same-origin", Origin: "null" },
        { Origin: url },
        { "Sec-Fetch-Site": "none" },
      ];
      expect(await Promise.all(own.map(post))).toEqual([200, 200, 200, 200]);
      const foreign = [
        { "Sec-Fetch-Site": "cross-site", Origin: url },
        { "Sec-Fetch-Site": "same-site" },
        { Origin: "https://evil.example" },
        { Origin: "null" },
        { Referer: "https://evil.example/" },
      ];
      expect(await Promise.all(foreign.map((headers) => post(headers as never)))).toEqual([403, 403, 403, 403, 403]);
      expect(await store.count()).toBe(0);
    });
  }

  it("gives a visitor's session the full lifetime once it holds something", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const manager = new SessionManager<Data>(store, { lifetime: "24h" });
    const open = csrfProtection({ formLifetime: "1h" });
    const hours = async (): Promise<number> => {
      for await (const { expiry } of store.all()) return Math.round((expiry.getTime() - Date.now()) / 360_000) / 10;
      return 0;
    };
    const visitor = await manager.load();
    open.token(visitor);
    await manager.commit(visitor);
    expect(await hours()).toBe(1);
    const shopping = await manager.load(visitor.token);
    shopping.set("basket", [1]);
    await manager.commit(shopping);
    expect(await hours()).toBe(24);
    const again = await manager.load(visitor.token);
    again.set("basket", [1, 2]);
    open.token(again);
    await manager.commit(again);
    expect(await hours()).toBe(24);
    await again.destroy();
    const both = await manager.load();
    open.token(both);
    both.set("basket", []);
    await manager.commit(both);
    expect(await hours()).toBe(24);
    await both.destroy();
    const member = await manager.load();
    open.token(member);
    await manager.commit(member);
    await member.login("ada");
    expect(await hours()).toBe(24);
  });

  it("lets the session of an open form live on when the form is shown again, and writes no more than that takes", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const manager = new SessionManager<Data>(store);
    const first = await manager.load();
    csrfProtection({ formLifetime: "20m" }).token(first);
    await manager.commit(first);
    const minutes = async (formLifetime: Duration): Promise<number> => {
      const session = await manager.load(first.token);
      csrfProtection({ formLifetime }).token(session);
      await manager.commit(session);
      return Math.round((session.deadline.getTime() - Date.now()) / 60_000);
    };
    expect(await minutes("30m")).toBe(20);
    expect(await minutes("50m")).toBe(50);
    const sealed = await manager.load(first.token);
    await sealed.save();
    expect(csrfProtection({ formLifetime: "10h" }).token(sealed)).toHaveLength(86);
  });

  it("reads a form no further than it may, and not at all without a session", async () => {
    const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    const token = csrf.token(session);
    await manager.commit(session);
    const start = (value: unknown): string => (typeof value === "string" ? value.slice(0, 3) : "none");
    const small = csrfProtection({ maxFormBytes: 4000 });
    const app = new Hono();
    app.use(honoSession(manager), small.hono(manager));
    app.post("/", async (context) => context.text(start((await context.req.parseBody())["a"])));
    const handlers: Record<string, (request: Request) => Response | Promise<Response>> = {
      fetch: fetchHandler(
        manager,
        small.fetch(async (request: Request) => new Response(start((await request.formData()).get("a")))),
      ),
      Hono: (request) => app.request(request),
    };
    for (const [name, handler] of Object.entries(handlers)) {
      const post = async (size: number, cookie: string, headers: Record<string, string> = {}) => {
        const text = `_csrf=${token}&a=`;
        let taken = 0;
        const body = new ReadableStream<Uint8Array>(
          {
            pull(controller) {
              if (taken === 0) controller.enqueue(Buffer.from(text));
              else controller.enqueue(new Uint8Array(Math.min(1000, size - taken)).fill(97));
              taken += taken === 0 ? text.length : Math.min(1000, size - taken);
              if (taken >= size) controller.close();
            },
          },
          { highWaterMark: 0 },
        );
        const type = { "content-type": "application/x-www-form-urlencoded", cookie, ...headers };
        const init: RequestInit = { method: "POST", headers: type, body, duplex: "half" };
        const answer = await handler(new Request("http://x/", init));
        return [answer.status, await answer.text(), taken];
      };
      const mine = `session=${session.token}`;
      expect(await post(4000, mine), name).toEqual([200, "aaa", 4000]);
      const [status, text, taken] = await post(1e6, mine);
      expect([status, text], name).toEqual([413, "Content Too Large\n"]);
      expect(taken, name).toBeLessThan(10_000);
      expect(await post(1e6, mine, { "content-length": "1000000" }), name).toEqual([413, "Content Too Large\n", 0]);
      for (const cookie of ["", `session=${createToken()}`, "session=bad"]) {
        expect(await post(4000, cookie), name).toEqual([403, "Forbidden\n", 0]);
      }
      const unreadable = new Request("http://x/", {
        method: "POST",
        headers: { cookie: mine, "content-type": "multipart/form-data" },
        body: "x",
      });
      expect((await handler(unreadable)).status, name).toBe(403);
    }
  });

  it("finds the token in a form that somebody else has read before: Hono", async () => {
    const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    const token = csrf.token(session);
    await manager.commit(session);
    const app = new Hono();
    app.use(honoSession(manager));
    app.use(async (context, next) => {
      if (context.req.query("raw") === undefined) await context.req.parseBody();
      else await context.req.raw.text();
      await next();
    });
    app.use(csrf.hono(manager));
    app.post("/", (context) => context.text("done"));
    const init = (): RequestInit => ({
      method: "POST",
      headers: { cookie: `session=${session.token}` },
      body: new URLSearchParams({ _csrf: token }),
    });
    expect((await app.request("/", init())).status).toBe(200);
    expect((await app.request("/?raw", init())).status).toBe(403);
  });

  it("refuses a request without a method, which may change anything", async () => {
    const session = await new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 })).load();
    for (const protection of [csrf, csrfProtection({ method: "origin" })]) {
      for (const method of [undefined, "", 7 as never]) {
        expect(() => protection.verify(session, { method, headers: {} })).toThrow(
          /^request\.method: expected a string/,
        );
      }
      expect(() => protection.verify(session, { headers: {} })).toThrow(TypeError);
    }
  });

  it("tells a missing token from a wrong one, and takes no look-alike of a safe method for one", async () => {
    const session = await new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 })).load();
    const reasonOf = (method: string, token?: string): unknown => {
      try {
        return csrf.verify(session, { method, headers: {} }, token);
      } catch (error) {
        return (error as CsrfError).reason;
      }
    };
    expect([reasonOf("POST"), reasonOf("POST", ""), reasonOf("POST", "x")]).toEqual(["missing", "missing", "token"]);
    for (const method of ["opt\u0131ons", "GET ", "\u00a0GET"]) expect(reasonOf(method), method).toBe("missing");
  });

  it("tells the next error handler what a later one throws at once", async () => {
    const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
    const thrown = new Error("expected by the test");
    const url = await listen((request, response) =>
      connect(manager)(request, response, () => {
        csrf.connect(manager)(request, response, (error) => {
          if (error === undefined) throw thrown;
          response.writeHead(error === thrown ? 503 : 200).end();
        });
      }),
    );
    expect((await fetch(url)).status).toBe(503);
  });

  it("reads no body that can't matter: from another site, with a header, or no form", async () => {
    const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    const token = csrf.token(session);
    const handler = csrf.fetch((request: Request) => new Response(String(request.bodyUsed)));
    const post = async (headers: Record<string, string>): Promise<[string, boolean]> => {
      let pulled = false;
      const body = new ReadableStream(
        {
          pull(controller) {
            pulled = true;
            controller.enqueue(Buffer.from(`_csrf=${token}`));
            controller.close();
          },
        },
        { highWaterMark: 0 },
      );
      const init: RequestInit = { method: "POST", body, duplex: "half", headers };
      try {
        return [await (await handler(new Request("http://app.example/", init), session)).text(), pulled];
      } catch (error) {
        return [(error as CsrfError).reason, pulled];
      }
    };
    const form = { "content-type": "application/x-www-form-urlencoded" };
    expect(await post(form)).toEqual(["false", true]);
    expect(await post({ ...form, origin: "https://evil.example" })).toEqual(["origin", false]);
    expect(await post({ ...form, "x-csrf-token": token })).toEqual(["false", false]);
    expect(await post({ ...form, "x-csrf-token": "wrong" })).toEqual(["token", false]);
    expect(await post({ "content-type": "application/json" })).toEqual(["missing", false]);
    expect(await post({ "content-type": "multipart/form-data" })).toEqual(["missing", true]);
  });

  it("works where the session is loaded when it is first awaited", async () => {
    const manager = new SessionManager<Data, true>(new MemoryStore({ cleanupInterval: 0 }), { lazy: true });
    const handler = csrf.fetch(
      async (_request: Request, session: LazySession<Data>) => new Response(csrf.token(await session)),
    );
    const url = await listen(getRequestListener(fetchHandler(manager, handler)));
    const page = await fetch(url);
    const cookie = page.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const token = await page.text();
    for (const [presented, status] of [
      [token, 200],
      ["", 403],
    ] as const) {
      const headers = { cookie, "X-CSRF-Token": presented };
      expect((await fetch(url, { method: "POST", headers })).status).toBe(status);
    }
  });

  const verify = async (options: CsrfOptions, headers: Record<string, string>, method = "POST"): Promise<unknown> => {
    const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    const protection = csrfProtection(options);
    try {
      protection.verify(session, { method, headers: { host: "app.example", ...headers } }, protection.token(session));
      return "passed";
    } catch (error) {
      return error instanceof CsrfError ? error.reason : error;
    }
  };

  it("knows other origins, and hosts of the same site, only as configured", async () => {
    const other = { origin: "https://www.example", "sec-fetch-site": "cross-site" };
    const cases: [CsrfOptions, Record<string, string>, string][] = [
      [{}, other, "origin"],
      [{ origins: ["https://www.example"] }, other, "passed"],
      [{ origins: ["https://www.example"] }, { ...other, origin: "http://www.example" }, "origin"],
      [{}, { "sec-fetch-site": "same-site" }, "origin"],
      [{ sameSite: true }, { "sec-fetch-site": "same-site" }, "passed"],
      [{ sameSite: true }, { "sec-fetch-site": "cross-site" }, "origin"],
      [{}, { "sec-fetch-site": "none" }, "passed"],
      [{}, { origin: "https://app.example" }, "passed"],
      [{}, { origin: "https://app.example:8443" }, "origin"],
      [{}, { referer: "https://app.example/form?x=1" }, "passed"],
      [{}, {}, "passed"],
    ];
    for (const [options, headers, expected] of cases) expect(await verify(options, headers)).toBe(expected);
  });

  it("finds the host that was asked for in HTTP/2 and in a Request's URL, whoever's Headers they are", async () => {
    const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    const reasonOf = (request: CsrfRequest): string => {
      try {
        csrf.verify(session, request, csrf.token(session));
        return "passed";
      } catch (error) {
        return (error as CsrfError).reason;
      }
    };
    const [origin, method] = ["https://app.example", "POST"];
    expect(reasonOf({ method, headers: { ":authority": "app.example", origin } })).toBe("passed");
    expect(reasonOf({ method, headers: { ":authority": "evil.example", origin } })).toBe("origin");
    expect(reasonOf({ method, headers: { host: "APP.example:443", origin } })).toBe("passed");
    expect(reasonOf({ method, headers: { host: "app.example:80", origin } })).toBe("origin");
    expect(reasonOf({ method, headers: { host: "app.example", origin: "http://app.example:80" } })).toBe("passed");
    expect(reasonOf({ method, headers: { host: "a b", origin } })).toBe("origin");
    expect(reasonOf({ method, headers: { origin } })).toBe("origin");
    expect(reasonOf({ method, headers: { host: ["app.example"] as never, origin, get: "a header" } })).toBe("passed");

    const request = new Request("https://app.example/form", { method, headers: { origin } });
    expect(reasonOf(request)).toBe("passed");
    expect(reasonOf(new Request("https://other.example/", request))).toBe("origin");
    const entries = new Map([["origin", "https://evil.example"]]);
    const foreign = { get: (name: string) => entries.get(name) ?? null } as unknown as Headers;
    expect(reasonOf({ method, headers: foreign, url: request.url })).toBe("origin");
    entries.set("origin", origin);
    expect(reasonOf({ method, headers: foreign, url: request.url })).toBe("passed");
  });

  it("lets what is safe by its method through, and takes methods by any case", async () => {
    for (const method of ["GET", "head", "OPTIONS", "TRACE"]) {
      expect(await verify({}, { origin: "https://evil.example" }, method)).toBe("passed");
    }
    for (const method of ["POST", "put", "PATCH", "DELETE", "QUERY"]) {
      expect(await verify({}, { origin: "https://evil.example" }, method)).toBe("origin");
    }
  });

  it("stores a new session whose token was asked for, and nothing in one that is stored", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const manager = new SessionManager<Data>(store);
    const session = await manager.load();
    const token = csrf.token(session);
    expect([session.size, session.keys()]).toEqual([0, []]);
    expect((await manager.commit(session)).kind).toBe("set");
    const loaded = await manager.load(session.token);
    csrf.verify(loaded, { method: "POST", headers: {} }, token);
    csrf.token(loaded);
    expect(loaded.status).toBe("unmodified");
    await loaded.reset();
    expect(() => csrf.verify(loaded, { method: "POST", headers: {} }, token)).toThrow(CsrfError);
    await loaded.destroy();
    expect(() => csrf.verify(loaded, { method: "POST", headers: {} }, csrf.token(loaded))).toThrow(CsrfError);
  });

  it("refuses wrong options by name", () => {
    const wrong: [object, RegExp][] = [
      [{ origin: [] }, /^origin: there is no such option/],
      [{ origins: "https://www.example" }, /^origins: /],
      [{ origins: ["www.example"] }, /^origins: expected origins such as .*, got "www\.example"$/],
      [{ origins: ["https://www.example/"] }, /^origins: /],
      [{ sameSite: "lax" }, /^sameSite: /],
      [{ header: "" }, /^header: /],
      [{ field: 1 }, /^field: /],
      [{ method: "header" }, /^method: /],
      [{ formLifetime: 0 }, /^formLifetime: /],
      [{ formLifetime: "soon" }, /^formLifetime: /],
      [{ maxFormBytes: 0 }, /^maxFormBytes: /],
      [{ maxFormBytes: "1mb" }, /^maxFormBytes: /],
    ];
    for (const [options, message] of wrong) expect(() => csrfProtection(options as CsrfOptions)).toThrow(message);
  });
});

describe("csrfTokenOf", () => {
  it("makes tokens that fit their session's token and no other, whatever is presented", () => {
    const [token, other] = [createToken(), createToken()];
    const made = csrfTokenOf(token);
    expect(isCsrfTokenOf(token, made)).toBe(true);
    expect(isCsrfTokenOf(other, made)).toBe(false);
    expect(made).not.toContain(token.slice(0, 8));
    for (const nothing of [undefined, null, 7, {}, [], "", "a".repeat(86), [made]]) {
      expect(isCsrfTokenOf(token, nothing)).toBe(false);
    }
    fc.assert(fc.property(fc.string({ maxLength: 100 }), (text) => !isCsrfTokenOf(token, text)));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (bytes) => {
        return !isCsrfTokenOf(token, Buffer.from(bytes).toString("base64url"));
      }),
    );
  });
});
