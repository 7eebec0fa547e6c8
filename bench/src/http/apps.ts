import type { App } from "./app.ts";
import { bare } from "./bare.ts";
import { onExpress, withPgSession, withRedis } from "./express-session.ts";
import { onFastify } from "./fastify.ts";
import { pgstore } from "./pgstore.ts";

/** A server to measure. */
export interface AppEntry {
  id: string;
  name: string;
  start: App;
  needsRedis?: boolean;
}

/** Every server, in the order of the tables. */
export const APPS: readonly AppEntry[] = [
  { id: "bare", name: "bare node:http, no session", start: bare },
  { id: "pgstore", name: "pgstore on node:http", start: pgstore() },
  { id: "pgstore-idle", name: "pgstore on node:http, idle timeout", start: pgstore({ idleTimeout: "20m" }) },
  {
    id: "redis",
    name: "express-session + connect-redis on node:http",
    start: withRedis(false),
    needsRedis: true,
  },
  {
    id: "redis-untouched",
    name: "express-session + connect-redis on node:http, touch off",
    start: withRedis(true),
    needsRedis: true,
  },
  { id: "fastify", name: "@fastify/session + connect-pg-simple, rolling off", start: onFastify },
  {
    id: "connect-pg-simple-untouched",
    name: "express-session + connect-pg-simple on node:http, touch off",
    start: withPgSession(true),
  },
  {
    id: "connect-pg-simple",
    name: "express-session + connect-pg-simple on node:http",
    start: withPgSession(false),
  },
  { id: "express", name: "Express 5: express-session + connect-pg-simple", start: onExpress },
];
