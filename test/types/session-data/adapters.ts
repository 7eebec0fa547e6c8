import express from "express";
import createFastify from "fastify";
import { MemoryStore, type Session, SessionManager } from "pgstore";
import { session as expressSession } from "pgstore/express";
import { session as fastifySession } from "pgstore/fastify";

/** Declared keys type every session without a manager of its own types. */
declare module "pgstore" {
  interface SessionData {
    message: string;
    visits?: number;
  }
}

const manager = new SessionManager(new MemoryStore());

export function greet(session: Session): string {
  // @ts-expect-error a mistyped key
  session.set("mesage", "");
  // @ts-expect-error a session can't hold undefined: delete the key
  session.set("visits", undefined);
  return session.get("message") ?? "";
}

express()
  .use(expressSession(manager))
  .get("/", (req, res) => {
    // @ts-expect-error a mistyped key
    req.session.set("mesage", "");
    res.send(greet(req.session));
  });

const fastify = createFastify();
await fastify.register(fastifySession, { manager });
fastify.get("/", async (request) => greet(request.session));
