import express from "express";
import express4 from "express-4";
import expressSession from "express-session";
import createFastify from "fastify";
import Koa from "koa";
import { Passport } from "passport";
import { Strategy } from "passport-local";
import { describe, expect, it } from "vitest";
import fastifySession from "../../src/fastify.ts";
import { MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import koaSession from "../../src/koa.ts";
import { connect, type NodeListener } from "../../src/node.ts";
import { manage } from "../../src/session.ts";
import { assignSloppily } from "../support/assign-sloppily.ts";
import { cookieOf, serving } from "../support/serve.ts";

const newManager = (): SessionManager => new SessionManager(new MemoryStore({ cleanupInterval: 0 }));

/** Code that was written for another package. */
const IDIOMS: Record<string, [idiom: (holder: { session: Session }) => unknown, error: RegExp]> = {
  "a property": [({ session }) => assignSloppily(session, "cart", ["book"]), /session\.set\("cart", …\)/],
  "a user's id": [({ session }) => assignSloppily(session, "userId", "bob"), /await session\.login\(userId\)/],
  null: [(holder) => assignSloppily(holder, "session", null), /await [a-z]+\.session\.destroy\(\)/],
  undefined: [(holder) => assignSloppily(holder, "session", undefined), /await [a-z]+\.session\.destroy\(\)/],
  "another object": [(holder) => assignSloppily(holder, "session", {}), /await [a-z]+\.session\.destroy\(\)/],
  "save(callback)": [({ session }) => (session.save as (callback: () => void) => void)(() => {}), /session\.save/],
  "destroy(callback)": [
    (holder) => (holder.session.destroy as (callback: () => void) => void)(() => {}),
    /await session\.destroy\(\)/,
  ],
};

/** Applications that answer `/login`, `/who` and each idiom, and an error with its name and message. */
const HOSTS: Record<string, () => Promise<NodeListener> | NodeListener> = {
  "Express 5": () => expressApp(express()),
  "Express 4": () => expressApp(express4() as unknown as express.Express),
  Koa: () => {
    const app = new Koa();
    app.use(async (context, next) => {
      try {
        await next();
      } catch (error) {
        context.status = 500;
        context.body = String(error);
      }
    });
    app.use(koaSession(newManager()));
    app.use(async (context) => {
      context.body = await act(decodeURIComponent(context.path.slice(1)), context as never);
    });
    return app.callback();
  },
  Fastify: async () => {
    const app = createFastify();
    await app.register(fastifySession, { manager: newManager() });
    app.setErrorHandler((error, _request, reply) => reply.code(500).send(String(error)));
    app.get("/*", async (request) => act(decodeURIComponent(request.url.slice(1)), request));
    await app.ready();
    return (request, response) => app.server.emit("request", request, response);
  },
};

function expressApp(app: express.Express): NodeListener {
  app.use(connect(newManager()));
  app.use(handle);
  app.use(errorPage);
  return app;
}

/** An idiom is tried at once, as its code would be; what it throws is the framework's to catch. */
function handle(request: express.Request, response: express.Response, next: express.NextFunction): void {
  const outcome = act(decodeURIComponent(request.path.slice(1)), request);
  if (outcome instanceof Promise) outcome.then((text: unknown) => response.send(text), next);
  else response.send(outcome);
}

const errorPage: express.ErrorRequestHandler = (error, _request, response, _next) => {
  response.status(500).send(String(error));
};

function act(name: string, holder: { session: Session }): unknown {
  const { session } = holder;
  if (name === "login") return session.login("ada").then(() => "in");
  if (name === "who") return String(session.userId);
  if (name === "same") return (assignSloppily(holder, "session", session), "same");
  IDIOMS[name]?.[0](holder);
  return "as if nothing had happened";
}

describe("idioms of other packages", () => {
  for (const [name, host] of Object.entries(HOSTS)) {
    it(`are answered with an error that names what to call: ${name}`, async () => {
      await serving(await host(), async ({ get }) => {
        const cookie = cookieOf(await get("/login"));
        for (const [idiom, [, error]] of Object.entries(IDIOMS)) {
          const response = await get(`/${encodeURIComponent(idiom)}`, cookie);
          const text = await response.text();
          expect([response.status, text], idiom).toEqual([500, expect.stringMatching(/^TypeError: /)]);
          expect(text, idiom).toMatch(error);
          expect(await (await get("/who", cookie)).text(), idiom).toBe("ada");
        }
        expect(await (await get("/same", cookie)).text()).toBe("same");
      });
    });
  }

  it("name the property that holds the session, wherever it is", async () => {
    const listener = manage(new MemoryStore({ cleanupInterval: 0 }), { contextName: "visit", errorFunc })((
      request,
      response,
    ) => {
      assignSloppily(request, "visit", null);
      response.end();
    });
    await serving(listener, async ({ get }) => {
      expect(await (await get("/")).text()).toContain("call await request.visit.destroy()");
    });
  });
});

function errorFunc(_request: unknown, response: { end(text: string): unknown }, error: unknown): void {
  response.end(String(error));
}

describe("Passport on connect", () => {
  /** @param isLate - the user comes from a database: what is thrown then is nobody's */
  const app = (isLate: boolean): NodeListener => {
    const passport = new Passport();
    const found = (done: (error: unknown, user?: object) => void): void => {
      if (isLate) setImmediate(() => done(null, { id: "1" }));
      else done(null, { id: "1" });
    };
    passport.use(new Strategy((_name, _password, done) => found(done)));
    passport.serializeUser((_user, done) => done(null, "1"));
    passport.deserializeUser((_id, done) => done(null, { id: "1" }));
    const server = express().use(connect(newManager()), passport.session() as never);
    server.get("/in", passport.authenticate("local") as never, (_request, response) => response.send("in"));
    server.get("/out", (request, response, next) => {
      (request as unknown as { logout(done: (error: unknown) => void): void }).logout((error) =>
        error === undefined ? response.send("out") : next(error),
      );
    });
    server.use(errorPage);
    return server;
  };

  for (const isLate of [false, true]) {
    it(`answers what it can't do with what is missing, ${isLate ? "later" : "at once"}`, async () => {
      await serving(app(isLate), async ({ get }) => {
        const login = await get("/in?username=ada&password=x");
        const text = await login.text();
        expect([login.status, text]).toEqual([500, expect.stringMatching(/^TypeError: session\.regenerate: /)]);
        expect(text).toMatch(/await session\.login\(userId\).*Passport.*passport: true$/);
        const logout = await get("/out");
        expect([logout.status, await logout.text()]).toEqual([500, expect.stringContaining("session.save: ")]);
        expect(logout.headers.getSetCookie()).toEqual([]);
      });
    });
  }
});

describe("express-session around connect(manager)", () => {
  it.each([
    ["Express 5", express()],
    ["Express 4", express4() as unknown as express.Express],
  ])("is refused if both want request.session, with what to do: %s", async (_title, app) => {
    app.use(expressSession({ secret: "of the test", resave: false, saveUninitialized: false }));
    app.use("/both", connect(newManager(), { property: "pg" }));
    app.use("/one", connect(newManager()));
    app.use((_request, response) => void response.send("handled"));
    app.use(((error, _request, response, _next) => {
      response.status(500).send(String(error));
    }) as express.ErrorRequestHandler);
    await serving(app, async ({ get }) => {
      expect(await (await get("/both")).text()).toBe("handled");
      expect(await (await get("/one")).text()).toMatch(
        /^TypeError: request\.session: express-session .*property: "pg"/,
      );
    });
  });
});
