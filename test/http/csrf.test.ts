import http from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import express from "express";
import fc from "fast-check";
import createFastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { describe, expect, it, onTestFinished } from "vitest";
import { CsrfError, csrfProtection, type CsrfOptions } from "../../src/csrf.ts";
import { session as fastifySession } from "../../src/fastify.ts";
import { fetchHandler } from "../../src/fetch.ts";
import { session as honoSession } from "../../src/hono.ts";
import { MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import { session as koaSession } from "../../src/koa.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../../src/lib/base/csrf-token.ts";
import { createToken } from "../../src/lib/base/token.ts";
import { connect, nodeHandler, type NodeListener } from "../../src/node.ts";

type Data = Record<string, unknown>;
type Manager = SessionManager<Data>;

const csrf = csrfProtection();

/** GET gives a token; POST /login and POST / do something; what was posted has been verified by then. */
async function act(session: Session<Data>, method: string, path: string): Promise<string> {
  if (method === "GET") return csrf.token(session);
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

const hosts: Record<string, (manager: Manager) => Promise<string>> = {
  "node:http": (manager) =>
    listen(
      nodeHandler(manager, async (request, response) => {
        const session = manager.sessionOf(request);
        csrf.verify(session, request, (await formOf(request)).get("_csrf"));
        response.end(await act(session, request.method ?? "", request.url ?? ""));
      }),
    ),
  Express: (manager) => {
    const app = express();
    app.set("env", "test");
    app.use(connect(manager), express.urlencoded({ extended: false }), csrf.connect(manager));
    app.use(async (request, response) => {
      response.send(await act(manager.sessionOf(request), request.method, request.path));
    });
    return listen(app);
  },
  Koa: (manager) => {
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
      context.body = await act(manager.sessionOf(context), context.method, context.path);
    });
    return listen(app.callback());
  },
  Fastify: async (manager) => {
    const app = createFastify();
    app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(String(body)))),
    );
    await app.register(fastifySession, { manager });
    app.addHook("preHandler", csrf.fastify(manager));
    app.all("/*", (request) => act(manager.sessionOf(request), request.method, request.url));
    onTestFinished(() => app.close());
    return app.listen({ port: 0, host: "127.0.0.1" });
  },
  Hono: (manager) => {
    const app = new Hono();
    app.use(honoSession(manager), csrf.hono(manager));
    app.all("*", async (context) => {
      if (context.req.method === "POST") await context.req.parseBody();
      return context.text(await act(manager.sessionOf(context), context.req.method, context.req.path));
    });
    return listen(getRequestListener(app.fetch));
  },
  fetch: (manager) => {
    const handler = fetchHandler(manager, async (request, session) => {
      const form =
        request.method === "POST"
          ? await request
              .clone()
              .formData()
              .catch(() => undefined)
          : undefined;
      csrf.verify(session, request, form?.get("_csrf"));
      return new Response(await act(session, request.method, new URL(request.url).pathname));
    });
    return listen(getRequestListener(handler));
  },
};

describe("csrfProtection", () => {
  for (const [name, host] of Object.entries(hosts)) {
    it(`lets only this session's own forms through: ${name}`, async () => {
      const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
      const url = await host(manager);
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

  it("knows origins besides its own, and hosts of the same site, only as configured", async () => {
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
    await loaded.renew();
    expect(() => csrf.verify(loaded, { method: "POST", headers: {} }, token)).toThrow(CsrfError);
    await loaded.destroy();
    expect(() => csrf.verify(loaded, { method: "POST", headers: {} }, csrf.token(loaded))).toThrow(CsrfError);
  });

  it("refuses wrong options by name", () => {
    const wrong: [object, RegExp][] = [
      [{ origin: [] }, /^origin: there is no such option/],
      [{ origins: "https://www.example" }, /^origins: /],
      [{ origins: ["www.example"] }, /^origins: "www\.example" is no origin/],
      [{ origins: ["https://www.example/"] }, /^origins: /],
      [{ sameSite: "lax" }, /^sameSite: /],
      [{ header: "" }, /^header: /],
      [{ field: 1 }, /^field: /],
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
