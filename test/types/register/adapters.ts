import http from "node:http";
import express from "express";
import createFastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import type { Session } from "pgstore";
import { openSession, withSession } from "pgstore/cookies";
import { session as expressSession } from "pgstore/express";
import { session as fastifySession } from "pgstore/fastify";
import { fetchHandler } from "pgstore/fetch";
import { session as honoSession } from "pgstore/hono";
import { session as koaSession } from "pgstore/koa";
import { action, getSession, sessionProxy } from "pgstore/next";
import { fromUpgrade, nodeHandler, type UpgradedSession } from "pgstore/node";
import { type Data, manager } from "./manager.js";

/** A registered manager types the session of every framework. */
export function visit(session: Session): number {
  const exact: Session<Data> = session;
  // @ts-expect-error a mistyped key
  exact.set("mesage", "");
  return session.update("visits", (visits = 0) => visits + 1);
}

const app = express();
app.use(expressSession(manager));
app.get("/", (req, res) => {
  // @ts-expect-error a mistyped key
  req.session.set("mesage", "Hello");
  // @ts-expect-error a value of another type
  req.session.set("visits", "1");
  const message: string | undefined = req.session.get("message");
  res.send(`${message} ${visit(req.session)}`);
});

const fastify = createFastify();
await fastify.register(fastifySession, { manager });
fastify.get("/", async (request) => {
  // @ts-expect-error a mistyped key
  request.session.set("mesage", "Hello");
  return visit(request.session);
});

const hono = new Hono();
hono.use(honoSession(manager));
hono.get("/", (c) => {
  // @ts-expect-error a mistyped key
  c.var.session.set("mesage", "Hello");
  return c.text(String(visit(c.get("session"))));
});
new Hono().use(honoSession(manager)).get("/", (c) => c.text(String(visit(c.var.session))));

const koa = new Koa();
koa.use(koaSession(manager));
koa.use((ctx) => {
  // @ts-expect-error a mistyped key
  ctx.session.set("mesage", "Hello");
  ctx.body = visit(ctx.session);
});
new Koa().use(koaSession(manager)).use((ctx) => {
  ctx.body = visit(ctx.session);
});

export const handler = fetchHandler(manager, (_request, session) => new Response(String(visit(session))));

http
  .createServer(nodeHandler(manager, (req, res) => res.end(String(visit(manager.sessionOf(req))))))
  .on("upgrade", async (req) => {
    const live: UpgradedSession = await fromUpgrade(manager, req);
    visit(live.session);
  });

/** Jars as frameworks declare them. */
interface NextCookies {
  get(...args: [name: string] | [{ name: string }]): { name: string; value: string } | undefined;
  set(
    ...args: [key: string, value: string, cookie?: { path?: string; maxAge?: number; expires?: number | Date }]
  ): this;
}
interface SvelteKitCookies {
  get(name: string, options?: { decode?: (text: string) => string }): string | undefined;
  set(
    name: string,
    value: string,
    options: { path: string; maxAge?: number | undefined; expires?: Date | undefined },
  ): void;
}
declare const cookies: { next: () => Promise<NextCookies>; svelteKit: SvelteKitCookies };

visit(await openSession(manager, cookies.next()));
const visits: number = await withSession(manager, cookies.svelteKit, (session) => visit(session));
// @ts-expect-error a jar without set
await openSession(manager, { get: () => undefined });

visit(await getSession(manager));
export const add: (previous: number, form: FormData) => Promise<number> = action(
  manager,
  (session, previous: number, _form: FormData) => {
    // @ts-expect-error a mistyped key
    session.set("mesage", "Hello");
    return previous + visits + visit(session);
  },
);
export const GET: (request: Request) => Promise<Response> = action(manager, (session, _request: Request) =>
  Response.json(visit(session)),
);
export const proxy = sessionProxy(manager, (_request, session) => void visit(session));
