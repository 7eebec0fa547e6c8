import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { urlToHttpOptions } from "node:url";
import { getRequestListener } from "@hono/node-server";
import connectApp from "connect";
import express from "express";
import express4 from "express-4";
import createFastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import polka from "polka";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dashboard, type DashboardOptions } from "../../src/dashboard.ts";
import { session as fastifySession } from "../../src/fastify.ts";
import { session as honoSession } from "../../src/hono.ts";
import { session as koaSession } from "../../src/koa.ts";
import { connect, nodeHandler, type NodeListener } from "../../src/node.ts";
import { serving } from "../support/serve.ts";
import { fieldsOf, openPlace, type Place } from "./support.ts";

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
beforeEach(async () => {
  await place.pool.query("TRUNCATE sessions, sessions_users");
});
afterAll(() => place.drop());

/** With the manager's own middleware, and whoever may see it told by the session, as applications do. */
const options = (prefix?: string): DashboardOptions => ({
  authorize: async (request) => place.manager.sessionOf(request).userId === "admin",
  ...(prefix === undefined ? {} : { prefix }),
});
const PREFIX = "/admin/sessions";

/** The ways that docs/operate/dashboard.md names. */
const MOUNTS: Record<string, () => NodeListener | Promise<NodeListener>> = {
  "Express 5": () =>
    express().use(connect(place.manager)).use(PREFIX, dashboard(place.manager, options())) as NodeListener,
  "Express 5 in a router, after a parser of forms": () => {
    const router = express.Router().use("/sessions", dashboard(place.manager, options()));
    const app = express()
      .use(connect(place.manager))
      .use(express.urlencoded({ extended: true }))
      .use("/admin", router);
    return app as NodeListener;
  },
  "Express 5, after a parser of texts": () => {
    const app = express()
      .use(connect(place.manager))
      .use(express.text({ type: () => true }));
    return app.use(PREFIX, dashboard(place.manager, options())) as NodeListener;
  },
  "Express 5 with the option": () =>
    express()
      .use(connect(place.manager))
      .use(dashboard(place.manager, options(PREFIX))) as NodeListener,
  "Express 4": () => {
    const sessions = dashboard(place.manager, options());
    const app = express4().use(connect(place.manager)).use(express4.json());
    return app.use(PREFIX, (request, response) => sessions(request, response)) as NodeListener;
  },
  Connect: () => {
    const sessions = dashboard(place.manager, options());
    const app = connectApp().use(connect(place.manager));
    return app.use(PREFIX, (request, response) => sessions(request, response));
  },
  Polka: () => {
    const sessions = dashboard(place.manager, options(PREFIX));
    const app = polka().use(connect(place.manager) as never);
    app.use(((request: never, response: never, next: () => void) => sessions(request, response, next)) as never);
    return app.handler as NodeListener;
  },
  Koa: () => {
    const sessions = dashboard(place.manager, options(PREFIX));
    const app = new Koa().use(koaSession(place.manager));
    app.use(async (context, next) => {
      if (context.path !== PREFIX && !context.path.startsWith(`${PREFIX}/`)) return next();
      context.respond = false;
      return sessions(context.req, context.res);
    });
    const listener = app.callback();
    return (request, response) => listener(request, response);
  },
  Fastify: async () => {
    const sessions = dashboard(place.manager, options(PREFIX));
    const app = createFastify();
    await app.register(fastifySession, { manager: place.manager });
    await app.register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
      for (const path of [PREFIX, `${PREFIX}/*`]) {
        scope.all(path, (request, reply) => {
          reply.hijack();
          sessions(request.raw, reply.raw);
        });
      }
    });
    await app.ready();
    return (request, response) => app.routing(request, response);
  },
  Hono: () => {
    const sessions = dashboard(place.manager, options(PREFIX));
    const app = new Hono().use(honoSession(place.manager));
    app.all(`${PREFIX}/*`, (context) => sessions(context.req.raw));
    return getRequestListener(app.fetch);
  },
  "node:http": () => {
    const sessions = dashboard(place.manager, options(PREFIX));
    return nodeHandler(place.manager, (request, response) => sessions(request, response));
  },
};

describe("dashboard, mounted", () => {
  for (const [name, mount] of Object.entries(MOUNTS)) {
    it(`works under a prefix in ${name}`, async () => {
      const [admin, ada] = [await place.login("admin"), await place.login("ada")];
      await serving(await mount(), async ({ url }) => {
        const cookie = `session=${admin.token}`;
        const get = (address: string | URL, headers: Record<string, string> = { cookie }) =>
          fetch(address, { headers, redirect: "manual" });
        const bare = await get(`${url}${PREFIX}?range=day`);
        expect(bare.status).toBe(307);
        const home = new URL(bare.headers.get("location") ?? "", `${url}${PREFIX}`);
        expect(home.href).toBe(`${url}${PREFIX}/?range=day`);
        const overview = await get(home);
        expect(overview.status).toBe(200);
        const text = await overview.text();
        expect(text).toContain("Live sessions");
        const style = await get(new URL(/rel="stylesheet" href="([^"]*)"/.exec(text)?.[1] ?? "", home));
        expect([style.status, style.headers.get("content-type")]).toEqual([200, "text/css; charset=utf-8"]);
        const head = await fetch(home, { method: "HEAD", headers: { cookie } });
        expect([head.status, await head.text()]).toEqual([200, ""]);
        expect((await get(new URL("nowhere", home))).status).toBe(404);
        expect((await get(home, { cookie: `session=${ada.token}` })).status).toBe(403);
        expect((await get(home, {})).status).toBe(403);

        const confirmation = await get(new URL("revoke?user=ada", home));
        const ended = await fetch(new URL("revoke", home), {
          method: "POST",
          redirect: "manual",
          headers: { cookie, origin: url },
          body: new URLSearchParams(fieldsOf(await confirmation.text())),
        });
        expect(ended.status).toBe(303);
        expect(new URL(ended.headers.get("location") ?? "", home).href).toBe(`${url}${PREFIX}/user?id=ada&revoked=1`);
        expect(await place.alive(ada, admin)).toEqual([false, true]);
        expect((await get(`${url}/admin/sessionsx`)).status).toBe(404);
      });
    });
  }

  it("says that a form can't be read where somebody has read it, and left nothing", async () => {
    const app = express().use((request, _response, next) => void request.resume().on("end", next));
    app.use(dashboard(place.manager, { authorize: () => true }));
    const ada = await place.login("ada");
    await serving(app as NodeListener, async ({ url }) => {
      const response = await fetch(`${url}/revoke`, {
        method: "POST",
        headers: { origin: url },
        body: new URLSearchParams({ user: "ada" }),
      });
      expect([response.status, await response.text()]).toEqual([413, expect.stringContaining("could not be read")]);
    });
    expect(await place.alive(ada)).toEqual([true]);
  });

  it("answers a form that is too large, though it does not read it to its end", async () => {
    const sessions = dashboard(place.manager, { authorize: () => true });
    await serving(
      (request, response) => sessions(request, response),
      async ({ url }) => {
        const body = new URLSearchParams({ user: "x".repeat(20_000) });
        const response = await fetch(`${url}/revoke`, { method: "POST", headers: { origin: url }, body });
        expect([response.status, await response.text()]).toEqual([413, expect.stringContaining("could not be read")]);
      },
    );
  });

  it("leaves what is not below its prefix to the next one, and asks nobody for it", async () => {
    const app = express().use(dashboard(place.manager, { authorize: () => expect.unreachable(), prefix: PREFIX }));
    app.use((_request, response) => void response.send("next"));
    await serving(app as NodeListener, async ({ get }) => {
      for (const path of ["/", "/admin", "/admin/sessionsx", "/ADMIN/sessions/"]) {
        expect(await (await get(path)).text(), path).toBe("next");
      }
    });
  });

  it("compares the path as it was sent, as a guard before it does", async () => {
    const app = express()
      .use("/admin", (_request, response) => void response.sendStatus(401))
      .use(dashboard(place.manager, { authorize: () => true, prefix: PREFIX }));
    app.use((_request, response) => void response.send("next"));
    await serving(app as NodeListener, async ({ url }) => {
      const path = `/x/..${PREFIX}/`;
      const [response] = (await once(http.get({ ...urlToHttpOptions(new URL(url)), path }), "response")) as [
        IncomingMessage,
      ];
      expect([response.statusCode, await text(response)]).toEqual([200, "next"]);
    });
  });

  it("answers a Request elsewhere with 404, and one below its prefix", async () => {
    const sessions = dashboard(place.manager, { authorize: () => true, prefix: `${PREFIX}/` });
    const statusOf = async (path: string): Promise<number> =>
      (await sessions(new Request(`http://app.test${path}`))).status;
    expect(await Promise.all(["/", "/admin", `${PREFIX}x`].map(statusOf))).toEqual([404, 404, 404]);
    expect(await Promise.all([PREFIX, `${PREFIX}/`, `${PREFIX}/users`].map(statusOf))).toEqual([307, 200, 200]);
  });

  it("sends nobody to another host, whatever the path", async () => {
    const sessions = dashboard(place.manager, { authorize: () => true });
    await serving(
      (request, response) => sessions(request, response),
      async ({ get }) => {
        for (const path of ["//evil.test", "/javascript:alert(1)", "/\\evil.test"]) {
          const { status, headers } = await get(path);
          expect([status, headers.get("location")], path).toEqual([404, null]);
        }
      },
    );
    const mounted = express().use("/javascript:alert", dashboard(place.manager, { authorize: () => true }));
    await serving(mounted as NodeListener, async ({ get, url }) => {
      const location = (await get("/javascript:alert")).headers.get("location") ?? "";
      expect(new URL(location, `${url}/javascript:alert`).href).toBe(`${url}/javascript:alert/`);
    });
  });

  it("passes on the Response that authorize gives, on node:http too", async () => {
    const headers = new Headers({ Location: "/login" });
    for (const cookie of ["a=1", "b=2"]) headers.append("Set-Cookie", cookie);
    const sessions = dashboard(place.manager, {
      authorize: () => new Response("To the login", { status: 302, headers }),
    });
    await serving(
      (request, response) => sessions(request, response),
      async ({ get }) => {
        const response = await get("/");
        expect([response.status, response.headers.get("location"), await response.text()]).toEqual([
          302,
          "/login",
          "To the login",
        ]);
        expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
      },
    );
  });
});
