import http from "node:http";
import type net from "node:net";
import fastifyCookie from "@fastify/cookie";
import fastifySession, { type FastifySessionOptions } from "@fastify/session";
import type { Request, Response } from "express";
import type session from "express-session";
import fastify from "fastify";
import pg from "pg";
import { middleware } from "../http/express-session.ts";
import { nodeHandler, PgStore, SessionManager } from "../pgstore.ts";
import { createSessionTable, openDropIn, openPgSession } from "../peers/connect-pg-simple.ts";
import { act, Gate, type RaceApp, type RaceSession } from "./races.ts";

/** A package, or two together, in the races. */
export interface Contestant {
  name: string;
  /** What it says of itself. */
  promises: { noRevival: boolean; noLoss: boolean };
  start(databaseUrl: string): Promise<RaceApp>;
}

const SECRET = "a secret of the races, which is long enough";
const NOTHING = { noRevival: false, noLoss: false };

export const CONTESTANTS: readonly Contestant[] = [
  { name: "express-session + connect-pg-simple", promises: NOTHING, start: (url) => withExpress(url, openPgSession) },
  { name: "@fastify/session + connect-pg-simple", promises: NOTHING, start: withFastify },
  {
    name: "express-session + pgstore's drop-in",
    promises: { noRevival: true, noLoss: false },
    start: (url) => withExpress(url, openDropIn),
  },
  { name: "pgstore", promises: { noRevival: true, noLoss: true }, start: withPgstore },
];

async function openPool(url: string): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  pool.on("error", () => {});
  await createSessionTable(pool);
  return pool;
}

async function listen(server: http.Server, gate: Gate, pool: pg.Pool): Promise<RaceApp> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await pool.end();
  };
  return { url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`, gate, close };
}

/** What is the application's own of a session that is a plain object. */
const keysOf = (found: object | null): string[] =>
  Object.keys(found ?? {}).filter((key) => key === "user" || /^key|^late/.test(key));

async function withExpress(url: string, open: (pool: pg.Pool) => session.Store): Promise<RaceApp> {
  const pool = await openPool(url);
  const gate = new Gate();
  const handle = middleware(open(pool));
  const server = http.createServer((incoming, response) => {
    const request = incoming as Request;
    handle(request, response as Response, () => {
      const theirs = request.session as unknown as session.Session;
      const wrapped: RaceSession = {
        set: (key, value) => void Object.assign(theirs, { [key]: value }),
        destroy: () => new Promise((resolve, reject) => theirs.destroy((error) => (error ? reject(error) : resolve()))),
        keys: () => keysOf(theirs),
      };
      act(wrapped, request.url, gate).then(
        (text) => response.end(text),
        () => response.writeHead(500).end(),
      );
    });
  });
  return listen(server, gate, pool);
}

async function withFastify(url: string): Promise<RaceApp> {
  const pool = await openPool(url);
  const gate = new Gate();
  const app = fastify();
  await app.register(fastifyCookie);
  await app.register(fastifySession, {
    secret: SECRET,
    store: openPgSession(pool) as unknown as NonNullable<FastifySessionOptions["store"]>,
    saveUninitialized: false,
    rolling: false,
    cookie: { secure: false },
  });
  app.get("/*", (request) => {
    const theirs = request.session as unknown as { destroy(): Promise<void> };
    const wrapped: RaceSession = {
      set: (key, value) => void Object.assign(theirs, { [key]: value }),
      destroy: () => theirs.destroy(),
      keys: () => keysOf(theirs),
    };
    return act(wrapped, request.url, gate);
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const close = async (): Promise<void> => {
    await app.close();
    await pool.end();
  };
  return { url: `http://127.0.0.1:${(app.server.address() as net.AddressInfo).port}`, gate, close };
}

async function withPgstore(url: string): Promise<RaceApp> {
  const pool = await openPool(url);
  const gate = new Gate();
  const store = new PgStore(pool, { cleanupInterval: 0 });
  await store.migrate();
  const manager = new SessionManager<Record<string, string>>(store);
  const server = http.createServer(
    nodeHandler(manager, async (request, response) => {
      const ours = manager.sessionOf(request);
      const wrapped: RaceSession = {
        set: (key, value) => void ours.set(key, value),
        destroy: () => ours.destroy(),
        keys: () => ours.keys(),
      };
      response.end(await act(wrapped, request.url ?? "", gate));
    }),
  );
  return listen(server, gate, pool);
}
