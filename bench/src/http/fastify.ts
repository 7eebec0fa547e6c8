import fastifyCookie from "@fastify/cookie";
import fastifySession, { type FastifySessionOptions } from "@fastify/session";
import fastify, { type FastifyRequest, type Session } from "fastify";
import type net from "node:net";
import { openPgSession } from "../peers/connect-pg-simple.ts";
import type { App } from "./app.ts";
import { clientOf, nameOf, ROUTES } from "./wire.ts";

declare module "fastify" {
  interface Session {
    name: string;
    n: number;
  }
}

/** Returns the session of @fastify/session. In this program pgstore types the property. */
const sessionOf = ({ session }: FastifyRequest): Session => session as unknown as Session;

/** @fastify/session, which renews no cookie and stores nothing that did not change. */
export const onFastify: App = async ({ pool }) => {
  const app = fastify();
  await app.register(fastifyCookie);
  await app.register(fastifySession, {
    secret: "a secret of the benchmark, long enough",
    // It takes the stores of express-session; its types are stricter.
    store: openPgSession(pool()) as unknown as NonNullable<FastifySessionOptions["store"]>,
    saveUninitialized: false,
    rolling: false,
    cookie: { secure: false },
  });
  app.get(ROUTES.get, async (request) => sessionOf(request).name);
  app.post(ROUTES.inc, async (request) => {
    const session = sessionOf(request);
    session.n += 1;
    return String(session.n);
  });
  app.post(ROUTES.put, async (request) => {
    const session = sessionOf(request);
    session.name = nameOf(clientOf(request.url));
    session.n = 0;
    return "OK";
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  return (app.server.address() as net.AddressInfo).port;
};
