import type { App } from "./app.ts";

/** A server to measure. */
export interface AppEntry {
  id: string;
  name: string;
  /** Loads the server's module, which alone brings in its packages. */
  load: () => Promise<App>;
  needsRedis?: boolean;
  /** It has no sessions, and answers every request alike. */
  isBare?: boolean;
}

/** Every server, in the order of the tables. */
export const APPS: readonly AppEntry[] = [
  {
    id: "bare",
    name: "bare node:http, no session",
    load: async () => (await import("./bare.ts")).bare,
    isBare: true,
  },
  {
    id: "pgstore",
    name: "pgstore on node:http",
    load: async () => (await import("./pgstore.ts")).pgstore(),
  },
  {
    id: "pgstore-idle",
    name: "pgstore on node:http, idle timeout",
    load: async () => (await import("./pgstore.ts")).pgstore({ idleTimeout: "20m" }),
  },
  {
    id: "pgstore-memory",
    name: "pgstore's MemoryStore on node:http",
    load: async () => (await import("./pgstore.ts")).pgstore({}, true),
  },
  {
    id: "bare-express",
    name: "Express 5, no session",
    load: async () => (await import("./bare-frameworks.ts")).bareExpress,
    isBare: true,
  },
  {
    id: "bare-fastify",
    name: "Fastify, no session",
    load: async () => (await import("./bare-frameworks.ts")).bareFastify,
    isBare: true,
  },
  {
    id: "bare-hono",
    name: "Hono, no session",
    load: async () => (await import("./bare-frameworks.ts")).bareHono,
    isBare: true,
  },
  {
    id: "bare-koa",
    name: "Koa, no session",
    load: async () => (await import("./bare-frameworks.ts")).bareKoa,
    isBare: true,
  },
  {
    id: "pgstore-express",
    name: "Express 5: pgstore",
    load: async () => (await import("./frameworks.ts")).inExpress,
  },
  {
    id: "pgstore-fastify",
    name: "Fastify: pgstore",
    load: async () => (await import("./frameworks.ts")).inFastify,
  },
  {
    id: "pgstore-hono",
    name: "Hono: pgstore",
    load: async () => (await import("./frameworks.ts")).inHono,
  },
  {
    id: "pgstore-koa",
    name: "Koa: pgstore",
    load: async () => (await import("./frameworks.ts")).inKoa,
  },
  {
    id: "redis",
    name: "express-session + connect-redis on node:http",
    load: async () => (await import("./connect-redis.ts")).withRedis(false),
    needsRedis: true,
  },
  {
    id: "redis-untouched",
    name: "express-session + connect-redis on node:http, touch off",
    load: async () => (await import("./connect-redis.ts")).withRedis(true),
    needsRedis: true,
  },
  {
    id: "fastify",
    name: "@fastify/session + connect-pg-simple, rolling off",
    load: async () => (await import("./fastify.ts")).onFastify,
  },
  {
    id: "drop-in",
    name: "express-session + pgstore's drop-in on node:http",
    load: async () => (await import("./express-session.ts")).withDropIn,
  },
  {
    id: "connect-pg-simple-untouched",
    name: "express-session + connect-pg-simple on node:http, touch off",
    load: async () => (await import("./express-session.ts")).withPgSession(true),
  },
  {
    id: "connect-pg-simple",
    name: "express-session + connect-pg-simple on node:http",
    load: async () => (await import("./express-session.ts")).withPgSession(false),
  },
  {
    id: "express",
    name: "Express 5: express-session + connect-pg-simple",
    load: async () => (await import("./express.ts")).onExpress,
  },
];
