import { randomBytes } from "node:crypto";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import polkaCompression from "@polka/compression";
import fastifyCompress from "@fastify/compress";
import compression from "compression";
import connectApp from "connect";
import express, { type Response } from "express";
import express4 from "express-4";
import expressSession from "express-session";
import Fastify from "fastify";
import Koa from "koa";
import onHeaders from "on-headers";
import polka from "polka";
import { describe, expect, it } from "vitest";
import { session as fastifySession } from "../../src/fastify.ts";
import { SessionManager } from "../../src/index.ts";
import { session as koaSession } from "../../src/koa.ts";
import { connect } from "../../src/node.ts";
import { leaveEventsAlone } from "../support/token-leaks.ts";
import { ask, digest, onPort, type Received } from "./client.ts";
import { SlowStore } from "./slow-store.ts";

leaveEventsAlone();

type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;
const require = createRequire(import.meta.url);
const httpCompression = require("http-compression") as (options: object) => Middleware;
const koaCompress = require("koa-compress") as (options: object) => Koa.Middleware;

/** What wraps a response, as their users install it. */
const WRAPPERS: Record<string, () => Middleware> = {
  none: () => (_request, _response, next) => next(),
  compression: () => compression({ threshold: 0 }) as unknown as Middleware,
  "@polka/compression": () => polkaCompression({ threshold: 0 }),
  "http-compression": () => httpCompression({ threshold: 0 }),
  "on-headers": () => (_request, response, next) => {
    onHeaders(response, () => void response.setHeader("X-On-Headers", "1"));
    next();
  },
  "express-session": () =>
    expressSession({ secret: "of the test", resave: false, saveUninitialized: true }) as unknown as Middleware,
};

const MODES = ["stored", "not stored", "commit fails"] as const;
type Mode = (typeof MODES)[number];
const POSITIONS = ["outside", "inside"] as const;
type Position = (typeof POSITIONS)[number];

/** Everything, as in CI: `RESPONSES=all`. */
const ALL = process.env["RESPONSES"] === "all";

/** Hard to compress, so that there is something to hold back. */
const PIECES = Array.from({ length: ALL ? 128 : 32 }, () => randomBytes(32_768).toString("hex"));
const LARGE = PIECES.join("");
const PAGE = "<p>hello</p>".repeat(300);

/** How far a large body has been read from its source. */
let produced = 0;
function* large(): Generator<string> {
  for (const piece of PIECES) {
    produced += piece.length;
    yield piece;
  }
}

/** Set while a page of events waits for its client to have seen the first. */
let firstSeen: Promise<void> | undefined;

type Flushing = ServerResponse & { flush?: () => void };

/** The routes, by Express's words. */
const ROUTES: Record<string, (response: Response) => unknown> = {
  send: (response) => response.send(PAGE),
  json: (response) => response.json({ page: PAGE }),
  "pipe small": (response) => Readable.from(["<p>one</p>", "<p>two</p>", "<p>three</p>"]).pipe(response.type("html")),
  "pipe large": (response) => Readable.from(large()).pipe(response.type("html")),
  pipeline: (response) => pipeline(Readable.from(["<p>one</p>", PAGE]), response.type("html")).catch(() => {}),
  events: async (response) => {
    response.set({ "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    response.flushHeaders();
    response.write("data: first\n\n");
    (response as Flushing).flush?.();
    await firstSeen;
    response.write("data: second\n\n");
    response.end();
  },
  "flushed page": (response) => {
    response.type("html").flushHeaders();
    response.end(PAGE);
  },
  "head, then writes": (response) => {
    response.writeHead(200, { "Content-Type": "text/html" });
    response.write("<p>one</p>");
    response.end("<p>two</p>");
  },
  "no content": (response) => response.status(204).end(),
  redirect: (response) => response.redirect("/login"),
  "answers twice": (response) => {
    response.send(PAGE);
    response.json({ a: "second answer" });
  },
  "sends and fails": (response) => {
    response.send(PAGE);
    throw new Error("after the answer");
  },
};

/** A middleware that changes the session, or leaves it alone. */
function using(manager: SessionManager | undefined, mode: Mode): Middleware {
  return (request, _response, next) => {
    if (mode !== "not stored") manager?.sessionOf(request).set("key", randomBytes(4).toString("hex"));
    next();
  };
}

interface App {
  use(middleware: Middleware): unknown;
}

/** Our middleware and a wrapper, in their order; without a manager the wrapper alone. */
function install(
  app: App,
  wrapper: Middleware,
  position: Position,
  manager: SessionManager | undefined,
  mode: Mode,
): void {
  const ours = manager && connect(manager, { property: "visit" });
  const order = position === "outside" ? [wrapper, ours] : [ours, wrapper];
  for (const one of order) if (one !== undefined) app.use(one);
  app.use(using(manager, mode));
}

type Build = (
  wrapper: Middleware,
  position: Position,
  manager: SessionManager | undefined,
  mode: Mode,
) => RequestListener;

const EXPRESSES: Record<string, Build> = {
  "Express 5": (wrapper, position, manager, mode) => {
    const app = express();
    app.set("env", "test");
    install(app, wrapper, position, manager, mode);
    for (const [name, route] of Object.entries(ROUTES)) app.get(pathOf(name), (_request, response) => route(response));
    return app;
  },
  "Express 4": (wrapper, position, manager, mode) => {
    const app = express4();
    app.set("env", "test");
    install(app, wrapper, position, manager, mode);
    for (const [name, route] of Object.entries(ROUTES)) {
      app.get(pathOf(name), (_request, response) => void route(response as unknown as Response));
    }
    return app;
  },
};

function pathOf(name: string): string {
  return `/${encodeURIComponent(name.replaceAll(/[ ,]+/g, "-"))}`;
}

/** What counts of an answer: the same without us. */
function summary({ status, headers, text, fault }: Received): object {
  return {
    status,
    fault,
    body: digest(text),
    encoding: headers["content-encoding"],
    type: headers["content-type"],
    location: headers.location,
    onHeaders: headers["x-on-headers"],
    sid: headers["set-cookie"]?.some((cookie) => cookie.startsWith("connect.sid=")) ?? false,
  };
}

/** Takes what nobody catches for an observation: some wrappers crash all by themselves. */
async function watching<T>(work: () => Promise<T>): Promise<[T, crashes: string[]]> {
  const crashes: string[] = [];
  process.setUncaughtExceptionCaptureCallback((error) => crashes.push(error.message));
  const listeners = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  try {
    return [await work(), crashes];
  } finally {
    for (const listener of listeners) process.on("unhandledRejection", listener);
    process.setUncaughtExceptionCaptureCallback(null);
  }
}

/** Asks for a route; its events wait for one another where the wrapper can flush. */
async function visit(port: number, name: string, waits: boolean): Promise<Received & { first: string }> {
  let seen = (): void => {};
  let first = "the second did not wait";
  firstSeen = waits && name === "events" ? new Promise((resolve) => (seen = resolve)) : undefined;
  const late = setTimeout(() => seen(), 2000);
  const answer = await ask(port, pathOf(name), {
    onFirstBytes: () => {
      first = "came alone";
      seen();
    },
  });
  clearTimeout(late);
  return { ...answer, first };
}

/** Wrappers whose stream gives an event away only when it is told to, by a method that they have. */
const CAN_FLUSH = new Set(["none", "compression", "on-headers", "express-session"]);

/** What each wrapper does by itself, for each route. */
const alone = new Map<string, Promise<[Received & { first: string }, crashes: string[]]>>();
function byItself(build: Build, title: string, wrapper: string, name: string): Promise<[Received, crashes: string[]]> {
  const key = `${title} ${wrapper} ${name}`;
  const known =
    alone.get(key) ??
    watching(() =>
      onPort(build((WRAPPERS[wrapper] ?? expect.fail)(), "outside", undefined, "not stored"), (port) =>
        visit(port, name, CAN_FLUSH.has(wrapper)),
      ),
    );
  alone.set(key, known);
  return known;
}

function ourCookies({ headers }: Received): number {
  return (headers["set-cookie"] ?? []).filter((cookie) => cookie.startsWith("session=")).length;
}

for (const [title, build] of Object.entries(EXPRESSES)) {
  const wrappers = title === "Express 5" || ALL ? Object.keys(WRAPPERS) : ["compression"];
  describe.each(wrappers)(`${title} and %s`, (wrapper) => {
    describe.each(POSITIONS)("%s the session", (position) => {
      it.each(MODES)("%s", async (mode) => {
        const store = new SlowStore();
        store.isDown = mode === "commit fails";
        const manager = new SessionManager(store, { onError: () => {} });
        const listener = build((WRAPPERS[wrapper] ?? expect.fail)(), position, manager, mode);
        for (const name of Object.keys(ROUTES)) {
          const [plain, plainCrashes] = await byItself(build, title, wrapper, name);
          const [answer, crashes] = await watching(() =>
            onPort(listener, (port) => visit(port, name, mode !== "commit fails" && CAN_FLUSH.has(wrapper))),
          );
          // A wrapper that breaks an answer or the process without us can't be mended here.
          if (plainCrashes.length === 0) expect(crashes, name).toEqual([]);
          if (mode === "commit fails") {
            // An application that cuts its own connection, before the wrapper gives anything away, gets just that.
            if (plain.status === 0 && answer.status === 0) continue;
            expect([answer.status, answer.text, answer.fault], name).toEqual([
              500,
              "Internal Server Error\n",
              undefined,
            ]);
            expect(ourCookies(answer), name).toBe(0);
            continue;
          }
          expect(summary(answer), name).toEqual(summary(plain));
          expect(ourCookies(answer), name).toBe(mode === "stored" && plain.status !== 0 ? 1 : 0);
          if (name === "events" && CAN_FLUSH.has(wrapper)) expect(answer.first, name).toBe("came alone");
        }
      });
    });
  });
}

describe.each(Object.keys(WRAPPERS))("a large body under %s", (wrapper) => {
  it.each(POSITIONS)("waits for the commit in bounded memory, %s the session", async (position) => {
    const store = new SlowStore();
    const manager = new SessionManager(store);
    const build = EXPRESSES["Express 5"] ?? expect.fail();
    await onPort(build((WRAPPERS[wrapper] ?? expect.fail)(), position, manager, "stored"), async (port) => {
      const arrived = store.hold();
      produced = 0;
      const answer = ask(port, pathOf("pipe large"));
      await arrived;
      // Until nobody reads on any more.
      for (let seen = -1; seen !== produced;) {
        seen = produced;
        await new Promise((resolve) => void setTimeout(resolve, 30));
      }
      // What waits is a few pieces, at the response and in the wrapper's stream.
      expect(produced).toBeLessThan(8 * 65_536);
      store.letGo();
      const { status, text } = await answer;
      expect([status, digest(text)]).toEqual([200, digest(LARGE)]);
    });
  });
});

/** Each framework with its own form of compression: one small and one large page. */
const FRAMEWORKS: Record<
  string,
  (manager: SessionManager, mode: Mode) => Promise<[RequestListener, end?: () => unknown]>
> = {
  "Connect and compression": async (manager, mode) => {
    const app = connectApp();
    install(app, compression({ threshold: 0 }) as unknown as Middleware, "outside", manager, mode);
    app.use(plainRoutes);
    return [app];
  },
  "Polka and @polka/compression": async (manager, mode) => {
    const app = polka();
    install(app, polkaCompression({ threshold: 0 }), "inside", manager, mode);
    app.use(plainRoutes as never);
    return [app.handler as unknown as RequestListener];
  },
  "Koa and koa-compress outside": async (manager, mode) => koaApp(manager, mode, "outside"),
  "Koa and koa-compress inside": async (manager, mode) => koaApp(manager, mode, "inside"),
  "Fastify and @fastify/compress": async (manager, mode) => {
    const app = Fastify();
    await app.register(fastifyCompress, { threshold: 0, encodings: ["gzip"] });
    await app.register(fastifySession, { manager });
    app.addHook("onRequest", async (request) => {
      if (mode !== "not stored") manager.sessionOf(request.raw).set("key", "value");
    });
    app.get("/small", (_request, reply) => reply.type("text/html").send(PAGE));
    app.get("/large", (_request, reply) => reply.type("text/html").send(Readable.from(large())));
    await app.ready();
    return [app.routing, () => app.close()];
  },
};

function plainRoutes(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("Content-Type", "text/html");
  if (request.url === "/small") response.end(PAGE);
  else Readable.from(large()).pipe(response);
}

async function koaApp(manager: SessionManager, mode: Mode, position: Position): Promise<[RequestListener]> {
  const app = new Koa();
  app.silent = true;
  const uses = [koaCompress({ threshold: 0 }), koaSession(manager)];
  for (const one of position === "outside" ? uses : uses.toReversed()) app.use(one);
  app.use((context) => {
    if (mode !== "not stored") manager.sessionOf(context.req).set("key", "value");
    context.type = "html";
    context.body = context.path === "/small" ? PAGE : Readable.from(large());
  });
  return [app.callback()];
}

describe.each(Object.entries(FRAMEWORKS))("%s", (_title, build) => {
  it.each(MODES)("%s", async (mode) => {
    const store = new SlowStore();
    store.isDown = mode === "commit fails";
    const manager = new SessionManager(store, { onError: () => {} });
    const [listener, end] = await build(manager, mode);
    await onPort(listener, async (port) => {
      for (const [path, text] of [
        ["/small", PAGE],
        ["/large", LARGE],
      ] as const) {
        const answer = await ask(port, path);
        expect(answer.fault, path).toBeUndefined();
        if (mode === "commit fails") {
          expect(answer.status, path).toBe(500);
          expect(answer.text, path).toMatch(/Internal Server Error/);
        } else {
          expect([answer.status, answer.headers["content-encoding"]], path).toEqual([200, "gzip"]);
          expect(digest(answer.text), path).toBe(digest(text));
        }
        expect(ourCookies(answer), path).toBe(mode === "stored" ? 1 : 0);
      }
    });
    await end?.();
  });
});
