import http from "node:http";
import express, { type Request, type Response } from "express";
import { openPgSession } from "../peers/connect-pg-simple.ts";
import type { App } from "./app.ts";
import { answer, middleware } from "./express-session.ts";
import { listen, ROUTES } from "./wire.ts";

/** express-session in Express. */
export const onExpress: App = async ({ pool }) => {
  const app = express();
  app.use(middleware(openPgSession(pool())));
  const handler = (request: Request, response: Response): void => answer(request, response);
  app.get(ROUTES.get, handler);
  app.post(ROUTES.inc, handler);
  app.post(ROUTES.put, handler);
  return await listen(http.createServer(app));
};
