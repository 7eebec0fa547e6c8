import express from "express";
import createFastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { MemoryStore, type Session, SessionManager } from "pgstore";
import { session as expressSession } from "pgstore/express";
import { session as fastifySession } from "pgstore/fastify";
import { fetchHandler } from "pgstore/fetch";
import { session as honoSession } from "pgstore/hono";
import { session as koaSession } from "pgstore/koa";

/** A registered manager with `lazy: true` gives every framework a promise. */
interface Data {
  visits: number;
}

const manager = new SessionManager<Data, true>(new MemoryStore(), { lazy: true });

declare module "pgstore" {
  interface Register {
    manager: typeof manager;
  }
}

function visit(session: Session): string {
  return String(session.update("visits", (visits = 0) => visits + 1));
}

express()
  .use(expressSession(manager))
  .get("/", async (req, res) => {
    // @ts-expect-error the session is not loaded
    req.session.get("visits");
    res.send(visit(await req.session));
  });

const fastify = createFastify();
await fastify.register(fastifySession, { manager });
fastify.get("/", async (request) => visit(await request.session));

const hono = new Hono();
hono.use(honoSession(manager)).get("/", async (c) => c.text(visit(await c.var.session)));
hono.get("/later", async (c) => c.text(visit(await c.var.session)));

const koa = new Koa();
koa.use(koaSession(manager)).use(async (ctx) => {
  ctx.body = visit(await ctx.session);
});
koa.use(async (ctx) => {
  ctx.body = visit(await ctx.session);
});

export const handler = fetchHandler(manager, async (_request, session) => new Response(visit(await session)));
