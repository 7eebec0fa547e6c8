import fastifySession from "@fastify/session";
import express from "express";
import expressSession from "express-session";
import createFastify from "fastify";
import { MemoryStore, SessionManager } from "pgstore";
import { ExpressSessionStore } from "pgstore/express-session";
import { fetchHandler } from "pgstore/fetch";
import { connect, nodeHandler } from "pgstore/node";

/** Beside the types of express-session and @fastify/session, which declare `session` themselves. Compiled without `skipLibCheck`. */
declare module "express-session" {
  interface SessionData {
    views: number;
  }
}

const manager = new SessionManager<{ message: string }>(new MemoryStore());
const pool = { query: async () => ({ rows: [] }) };

const app = express();
app.use(expressSession({ secret: "secret", store: new ExpressSessionStore({ pool }) }));
app.use(connect(manager, { property: "own" }));
app.get("/", (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1;
  res.send(manager.sessionOf(req).get("message"));
});

createFastify()
  .register(fastifySession, { secret: "s".repeat(32), store: new ExpressSessionStore({ pool }) })
  .get("/", async (request) => request.session.sessionId);

export const handlers = [nodeHandler(manager, (_req, res) => res.end()), fetchHandler(manager, () => new Response())];
