import express from "express";
import createFastify, { type FastifyPluginAsync, type preValidationHookHandler } from "fastify";
import Koa from "koa";
import { Passport } from "passport";
import { Strategy } from "passport-local";
import { describe, expect, it, vi } from "vitest";
import { type ConnectOptions, connect, type PassportSession } from "../../src/express.ts";
import { session as fastifySession } from "../../src/fastify.ts";
import { MemoryStore, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { session as koaSession } from "../../src/koa.ts";
import type { NodeListener } from "../../src/node.ts";
import { GatedStore } from "../support/gated-store.ts";
import { type Served, serving } from "../support/serve.ts";

export type Data = Record<string, unknown>;
type User = { id: string; name: string };
export type Manager = SessionManager<Data>;

export const inMemory = (): Manager => new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
const fakePasswords = (): Strategy =>
  new Strategy((name, password, done) => done(null, password === "right" ? { id: `u-${name}`, name } : false));

export interface Setup {
  manager: Manager;
  options?: ConnectOptions;
  /** Options of `authenticate("local")`. */
  login?: object;
  serialize?: (user: User) => unknown;
  /** Whether a user still exists. */
  knows?: () => boolean;
  use?: (app: express.Express) => void;
}

/** An application of Express with passport 0.7: /login?username=…&password=…, /me, /visit, /logout, /guest. */
export function expressApp({
  manager,
  options = { passport: true },
  login,
  serialize,
  knows,
  use,
}: Setup): NodeListener {
  const passport = new Passport() as InstanceType<typeof Passport> &
    Record<"serializeUser" | "deserializeUser", (f: unknown) => void>;
  passport.use(fakePasswords());
  passport.serializeUser((user: User, done: (e: null, id: unknown) => void) =>
    done(null, serialize?.(user) ?? user.id),
  );
  passport.deserializeUser((id: unknown, done: (e: null, user: unknown) => void) =>
    done(null, (knows?.() ?? true) && { id }),
  );
  const app = express().use(connect(manager, options), passport.session());
  app.get("/visit", (req, res) => {
    (req.session as PassportSession)["cart"] = ["book"];
    res.send("visited");
  });
  app.get("/login", passport.authenticate("local", login ?? {}) as never, (_req, res) => void res.send("in"));
  app.get("/me", (req, res) => {
    const session = req.session as PassportSession;
    res.json([(req.user as User | undefined)?.id ?? null, session.userId ?? null, session["cart"] ?? null]);
  });
  app.get("/logout", (req, res, next) => req.logout((error) => (error ? next(error) : res.send("out"))));
  use?.(app);
  const errorPage: express.ErrorRequestHandler = (error, _req, res, _next) => void res.status(500).send(String(error));
  app.use(errorPage);
  return app;
}

/** The part of koa-passport's passport that is used. */
export interface KoaPassport {
  use(strategy: Strategy): unknown;
  serializeUser(serialize: (user: unknown, done: (error: null, id: unknown) => void) => void): void;
  deserializeUser(deserialize: (id: unknown, done: (error: null, user: unknown) => void) => void): void;
  initialize(): Koa.Middleware;
  session(): Koa.Middleware;
  authenticate(name: string): Koa.Middleware;
}

/** The part of @fastify/passport's authenticator that is used. */
export interface FastifyPassport {
  use(name: string, strategy: Strategy): unknown;
  registerUserSerializer(serialize: (user: User) => Promise<unknown>): void;
  registerUserDeserializer(deserialize: (id: unknown) => Promise<unknown>): void;
  initialize(): FastifyPluginAsync;
  secureSession(): FastifyPluginAsync;
  authenticate(name: string): preValidationHookHandler;
}

/** The same with koa-passport, which `npm test` does without. */
export function koaApp(passport: KoaPassport, { manager }: Setup): NodeListener {
  passport.use(fakePasswords());
  passport.serializeUser((user, done) => done(null, (user as User).id));
  passport.deserializeUser((id, done) => done(null, { id }));
  const app = new Koa();
  app
    .use(koaSession(manager, { passport: true }))
    .use(passport.initialize())
    .use(passport.session());
  const local = passport.authenticate("local");
  app.use(async (ctx) => {
    const session = (ctx as unknown as { session: PassportSession }).session;
    // passport-local looks into the body and the query of the request.
    (ctx.request as unknown as { body: unknown }).body = ctx.query;
    if (ctx.path === "/visit") {
      session["cart"] = ["book"];
      ctx.body = "visited";
    } else if (ctx.path === "/login") await local(ctx, async () => void (ctx.body = "in"));
    else if (ctx.path === "/logout") {
      await (ctx as unknown as { logout(): Promise<void> }).logout();
      ctx.body = "out";
    } else
      ctx.body = [(ctx.state["user"] as User | undefined)?.id ?? null, session.userId ?? null, session["cart"] ?? null];
  });
  return app.callback();
}

/** The same with @fastify/passport, which `npm test` does without. */
export async function fastifyApp(passport: FastifyPassport, { manager }: Setup): Promise<NodeListener> {
  passport.use("local", fakePasswords());
  passport.registerUserSerializer(async (user: User) => user.id);
  passport.registerUserDeserializer(async (id) => ({ id }));
  const app = createFastify();
  await app.register(fastifySession, { manager, passport: true });
  await app.register(passport.initialize());
  await app.register(passport.secureSession());
  app.get("/visit", async (request) => {
    request.session.set("cart", ["book"]);
    return "visited";
  });
  app.get("/login", { preValidation: passport.authenticate("local") }, async () => "in");
  app.get("/me", async (request) => {
    const { userId = null } = request.session;
    return [(request as unknown as { user?: User }).user?.id ?? null, userId, request.session.get("cart") ?? null];
  });
  app.get("/logout", async (request) => {
    await (request as unknown as { logout(): Promise<void> }).logout();
    return "out";
  });
  await app.ready();
  return (request, response) => app.server.emit("request", request, response);
}

/** A browser with the cookie of the session. */
export class Browser {
  cookie: string | undefined;
  readonly #served: Served;

  constructor(served: Served, cookie?: string) {
    this.#served = served;
    this.cookie = cookie;
  }

  async go(path: string): Promise<Response> {
    const response = await this.#served.get(path, this.cookie);
    const set = response.headers.getSetCookie().find((header) => header.startsWith("session="));
    if (set !== undefined) this.cookie = set.startsWith("session=;") ? undefined : set.split(";")[0];
    return response;
  }

  async me(): Promise<unknown> {
    return (await this.go("/me")).json();
  }
}

export const LOGIN = "/login?username=ada&password=right";
export const ADA = ["u-ada", "u-ada", null];
export const NOBODY = [null, null, null];

/** What a login by Passport promises, whichever package brings it. */
export function describePassport(
  name: string,
  application: (setup: Setup) => NodeListener | Promise<NodeListener>,
): void {
  describe(name, () => {
    it("logs in under a new token, binds the user, and logs out without leaving a row", async () => {
      const store = new MemoryStore({ cleanupInterval: 0 });
      const manager = new SessionManager<Data>(store);
      await serving(await application({ manager }), async (served) => {
        const browser = new Browser(served);
        expect(await browser.me()).toEqual(NOBODY);
        await browser.go("/visit");
        const visitor = browser.cookie;
        expect((await browser.go(LOGIN)).status).toBe(200);
        expect(await browser.me()).toEqual(ADA);
        const first = browser.cookie;
        expect(first).not.toBe(visitor);
        expect(await new Browser(served, visitor).me()).toEqual(NOBODY);
        expect(await manager.listByUser("u-ada")).toHaveLength(1);
        // The same user once more.
        expect((await browser.go(LOGIN)).status).toBe(200);
        expect(browser.cookie).not.toBe(first);
        expect(await new Browser(served, first).me()).toEqual(NOBODY);
        const last = browser.cookie;
        expect(await (await browser.go("/logout")).text()).toBe("out");
        expect(browser.cookie).toBe(undefined);
        expect(await new Browser(served, last).me()).toEqual(NOBODY);
        expect(await manager.listByUser("u-ada")).toEqual([]);
        expect(await store.count()).toBe(0);
      });
    });

    it("lets a revocation log the user out, and one user's data never reach the next", async () => {
      const manager = inMemory();
      await serving(await application({ manager }), async (served) => {
        const browser = new Browser(served);
        await browser.go(LOGIN);
        await browser.go("/visit");
        expect(await browser.me()).toEqual(["u-ada", "u-ada", ["book"]]);
        await browser.go("/login?username=bob&password=right");
        expect(await browser.me()).toEqual(["u-bob", "u-bob", null]);
        expect(await manager.listByUser("u-ada")).toEqual([]);
        expect(await manager.destroyByUser("u-bob")).toBe(1);
        expect(await browser.me()).toEqual(NOBODY);
      });
    });

    it("changes nothing when the password is wrong", async () => {
      const manager = inMemory();
      await serving(await application({ manager }), async (served) => {
        const browser = new Browser(served);
        await browser.go("/visit");
        const { cookie } = browser;
        expect((await browser.go("/login?username=ada&password=wrong")).status).toBe(401);
        expect([browser.cookie, await browser.me()]).toEqual([cookie, [null, null, ["book"]]]);
      });
    });

    it("logs nobody in when the login can't be stored", async () => {
      vi.spyOn(console, "error").mockImplementation(() => {});
      const store = new GatedStore();
      const manager = new SessionManager<Data>(store);
      await serving(await application({ manager }), async (served) => {
        for (const before of ["/me", "/visit"]) {
          const browser = new Browser(served);
          await browser.go(before);
          const { cookie } = browser;
          store.failure = new StoreUnavailableError("expected by the test");
          expect((await browser.go(LOGIN)).status).toBeGreaterThanOrEqual(500);
          store.failure = undefined;
          expect(browser.cookie).toBe(cookie);
          expect((await browser.me()) as unknown[]).toEqual([null, null, before === "/me" ? null : ["book"]]);
        }
        expect(await manager.listByUser("u-ada")).toEqual([]);
      });
    });
  });
}
