import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { connect, PgStore, type Session, SessionManager } from "../pgstore.ts";
import fastifySession from "../../../dist/fastify.js";
import honoSession from "../../../dist/hono.js";
import koaSession from "../../../dist/koa.js";
import type { App, AppContext } from "./app.ts";
import { clientOf, listen, nameOf, ROUTES, sendText } from "./wire.ts";

interface Data {
  name: string;
  n: number;
}

const managerOf = ({ pool }: AppContext): SessionManager<Data> => new SessionManager<Data>(new PgStore(pool()));

/** What each of them answers. */
function answer(session: Session<Data>, url: string): string {
  if (url === ROUTES.get) return session.get("name") ?? "";
  if (url === ROUTES.inc) return String(session.update("n", (n = 0) => n + 1));
  session.set("name", nameOf(clientOf(url)));
  session.set("n", 0);
  return "OK";
}

/** pgstore in Express. */
export const inExpress: App = (context) => {
  const manager = managerOf(context);
  const app = express();
  app.use(connect(manager));
  const handler: express.RequestHandler = (request, response) => {
    sendText(response, answer(manager.sessionOf(request), request.url));
  };
  app.get(ROUTES.get, handler);
  app.post(ROUTES.inc, handler);
  app.post(ROUTES.put, handler);
  return listen(http.createServer(app));
};

/** pgstore in Fastify. */
export const inFastify: App = async (context) => {
  const manager = managerOf(context);
  const app = fastify();
  await app.register(fastifySession, { manager });
  const handler = async (request: { url: string }): Promise<string> => answer(manager.sessionOf(request), request.url);
  app.get(ROUTES.get, handler);
  app.post(ROUTES.inc, handler);
  app.post(ROUTES.put, handler);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return (app.server.address() as net.AddressInfo).port;
};

/** pgstore in Hono. */
export const inHono: App = async (context) => {
  const app = new Hono().use(honoSession(managerOf(context))).all("*", (c) => {
    const { url } = c.req;
    const text = answer(c.var.session, url.slice(url.indexOf("/", "http://".length)));
    return c.text(text, 200, { "Content-Length": String(Buffer.byteLength(text)) });
  });
  const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
  if (!server.listening) await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
};

/** pgstore in Koa. */
export const inKoa: App = (context) => {
  const manager = managerOf(context);
  const app = new Koa();
  app.use(koaSession(manager));
  app.use((c) => {
    c.body = answer(manager.sessionOf(c), c.url);
  });
  const listener = app.callback();
  return listen(http.createServer((request, response) => void listener(request, response)));
};
