import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import type { App } from "./app.ts";
import { BARE_TEXT } from "./bare.ts";
import { listen, ROUTES, sendText } from "./wire.ts";

/** Express alone. */
export const bareExpress: App = () => {
  const app = express();
  app.get(ROUTES.get, (_, response) => sendText(response, BARE_TEXT));
  app.post(ROUTES.inc, (_, response) => sendText(response, BARE_TEXT));
  return listen(http.createServer(app));
};

/** Fastify alone. */
export const bareFastify: App = async () => {
  const app = fastify();
  app.get(ROUTES.get, async () => BARE_TEXT);
  app.post(ROUTES.inc, async () => BARE_TEXT);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return (app.server.address() as net.AddressInfo).port;
};

/** Hono alone. */
export const bareHono: App = async () => {
  const length = { "Content-Length": String(Buffer.byteLength(BARE_TEXT)) };
  const app = new Hono().all("*", (c) => c.text(BARE_TEXT, 200, length));
  const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
  if (!server.listening) await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
};

/** Koa alone. */
export const bareKoa: App = () => {
  const app = new Koa();
  app.use((c) => {
    c.body = BARE_TEXT;
  });
  const listener = app.callback();
  return listen(http.createServer((request, response) => void listener(request, response)));
};
