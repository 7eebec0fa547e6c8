import http from "node:http";
import type { Request, Response } from "express";
import session from "express-session";
import { openDropIn, openPgSession } from "../peers/connect-pg-simple.ts";
import type { App, AppContext } from "./app.ts";
import { clientOf, listen, nameOf, ROUTES, sendText } from "./wire.ts";

declare module "express-session" {
  interface SessionData {
    name: string;
    n: number;
  }
}

/** As express-session recommends it: nothing is stored that did not change. */
export function middleware(store: session.Store) {
  return session({ store, secret: "benchmark", resave: false, saveUninitialized: false, cookie: { secure: false } });
}

/** express-session on node:http, without a framework. */
export function onNode(openStore: (context: AppContext) => Promise<session.Store>): App {
  return async (context) => {
    const handle = middleware(await openStore(context));
    const server = http.createServer((request, response) => {
      // It needs nothing of Express but the session itself.
      handle(request as Request, response as Response, (error) => {
        if (error) response.writeHead(500).end();
        else answer(request as Request, response);
      });
    });
    return listen(server);
  };
}

/** What the servers with express-session answer. */
export function answer(request: Request, response: http.ServerResponse): void {
  const { url } = request;
  const { session } = request;
  if (url === ROUTES.get) {
    sendText(response, session.name ?? "");
  } else if (url === ROUTES.inc) {
    session.n = (session.n ?? 0) + 1;
    sendText(response, String(session.n));
  } else {
    session.name = nameOf(clientOf(url));
    session.n = 0;
    sendText(response, "OK");
  }
}

export const withDropIn: App = onNode(async ({ pool }) => openDropIn(pool()));

export const withPgSession = (disableTouch: boolean): App =>
  onNode(async ({ pool }) => openPgSession(pool(), { disableTouch }));
