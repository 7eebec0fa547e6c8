import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import createConnect from "connect";
import express from "express";
import createFastify, { type FastifyReply } from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import polka from "polka";
import { session as expressSession } from "../../src/express.ts";
import { session as fastifySession } from "../../src/fastify.ts";
import { session as honoSession } from "../../src/hono.ts";
import { session as koaSession } from "../../src/koa.ts";
import { nodeHandler, type NodeListener } from "../../src/node.ts";
import { type AdapterHost, type Answer, type App, chunksOf, respond } from "./adapter-contract.ts";
import { fetchApp, toResponse } from "./fetch-app.ts";

/** Another version by an alias, which types don't know. */
const express4 = createRequire(import.meta.url)("express-4") as typeof express;

/** The name under which an adapter shows the session of each manager. */
const PROPERTIES = ["session", "second"];

async function listen(listener: NodeListener, ended?: () => Promise<unknown>) {
  const server = http.createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    await ended?.();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

function write(response: ServerResponse, answer: Answer): void {
  response.statusCode = answer.status ?? 200;
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if (Array.isArray(answer.body)) Readable.from(chunksOf(answer)).pipe(response);
  else response.end(answer.body);
}

const found = (request: object): unknown => (request as { session?: unknown }).session;
const pathOf = (request: IncomingMessage): string => request.url ?? "";

/** What Express, Connect and Polka have in common. */
interface Uses {
  use(handler: (request: never, response: never, next: (error?: unknown) => void) => unknown): unknown;
}

/** Middleware for each manager, then the routes. */
function connected(target: Uses, app: App): void {
  for (const [index, manager] of app.managers.entries()) {
    target.use(expressSession(manager, { property: PROPERTIES[index] ?? "" }));
  }
  target.use((request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => {
    respond(app, pathOf(request), request, found(request)).then((answer) => write(response, answer), next);
  });
}

/** Each adapter on a framework of its own kind. */
export const adapterHosts: Record<string, AdapterHost> = {
  "node:http": {
    serve: (app) => {
      const listener: NodeListener = async (request, response) => {
        const [first] = app.managers;
        write(response, await respond(app, pathOf(request), request, first?.sessionOf(request)));
      };
      return listen(app.managers.reduceRight((inner, manager) => nodeHandler(manager, inner), listener));
    },
  },
  "Express 5": {
    serve: (app) => {
      const server = express();
      if (app.managers[0]?.options.trustProxy === true) server.set("trust proxy", true);
      server.set("env", "test");
      connected(server, app);
      server.use(expressError);
      return listen(server);
    },
  },
  "Express 4": {
    serve: (app) => {
      const server = express4();
      connected(server, app);
      server.use(expressError);
      return listen(server);
    },
  },
  Connect: {
    serve: (app) => {
      const server = createConnect();
      connected(server as Uses, app);
      server.use(expressError as never);
      return listen(server);
    },
  },
  Polka: {
    serve: (app) => {
      const server = polka({
        onError: (error, _request, response) => answerError(error, response),
      });
      connected(server as unknown as Uses, app);
      return listen(server.handler as unknown as NodeListener);
    },
  },
  Koa: {
    serve: (app) => {
      const server = new Koa();
      server.silent = true;
      server.proxy = app.managers[0]?.options.trustProxy === true;
      for (const [index, manager] of app.managers.entries()) {
        server.use(koaSession(manager, { property: PROPERTIES[index] ?? "" }));
      }
      server.use(async (context) => {
        const answer = await respond(app, context.path, context, found(context));
        context.status = answer.status ?? 200;
        for (const [name, value] of Object.entries(answer.headers ?? {})) context.set(name, value);
        if (answer.status === 204) return;
        context.body = Array.isArray(answer.body) ? Readable.from(chunksOf(answer)) : (answer.body ?? "");
      });
      return listen(server.callback());
    },
  },
  Fastify: {
    serve: async (app) => {
      const server = createFastify({ trustProxy: app.managers[0]?.options.trustProxy === true });
      for (const [index, manager] of app.managers.entries()) {
        await server.register(fastifySession, { manager, property: PROPERTIES[index] ?? "" });
      }
      server.all("/*", async (request, reply): Promise<FastifyReply> => {
        const answer = await respond(app, request.url, request, request.session);
        void reply.code(answer.status ?? 200).headers(answer.headers ?? {});
        return reply.send(Array.isArray(answer.body) ? Readable.from(chunksOf(answer)) : (answer.body ?? ""));
      });
      const url = await server.listen({ port: 0, host: "127.0.0.1" });
      return { url, close: () => server.close() };
    },
  },
  Hono: {
    serve: (app) => {
      const server = new Hono();
      for (const [index, manager] of app.managers.entries()) {
        server.use(honoSession(manager, { property: PROPERTIES[index] ?? "" }));
      }
      server.onError((error, context) =>
        "getResponse" in error ? error.getResponse() : context.text("Internal Server Error", 500),
      );
      server.all("*", async (context) =>
        toResponse(await respond(app, context.req.path, context, context.get("session" as never))),
      );
      return listen(getRequestListener(server.fetch));
    },
  },
  fetch: {
    serve: (app) => listen(getRequestListener(fetchApp(app))),
  },
};

function expressError(
  error: unknown,
  _request: IncomingMessage,
  response: ServerResponse,
  _next: (error?: unknown) => void,
): void {
  answerError(error, response);
}

/** As the frameworks' own handlers answer, but without the stack. */
function answerError(error: unknown, response: ServerResponse): void {
  response.statusCode = (error as { status?: number }).status ?? 500;
  response.end(http.STATUS_CODES[response.statusCode]);
}
