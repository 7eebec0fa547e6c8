import type { FastifyPluginAsync, FastifyRequest } from "fastify";
import plugin from "fastify-plugin";
import { wrong } from "../core/options.ts";
import type { RequestSession } from "../manager/lazy-session.ts";
import { SessionManager } from "../manager/session-manager.ts";
import { withSession } from "./node.ts";
import { type AdapterOptions, readAdapterOptions } from "./passport/adapter.ts";
import { sessionProperty } from "./property.ts";

declare module "fastify" {
  interface FastifyRequest {
    /**
     * The session, set by `pgstore/fastify`. Typed by the manager that `Register` names, otherwise by `SessionData`.
     */
    session: RequestSession;
  }
}

/** Options of the Fastify plugin. */
export interface FastifySessionOptions extends AdapterOptions {
  /** A SessionManager with any data type. */
  manager: { sessionOf(request: object): unknown };
}

// It is async so that an error fails the registration.
const register: FastifyPluginAsync<FastifySessionOptions> = async (fastify, options) => {
  // Fastify passes its own options along (prefix, logLevel, logSerializers), so unknown ones are not refused.
  const { manager, property: given, passport, migrateFrom } = options;
  if (!(manager instanceof SessionManager)) throw wrong("manager", "a SessionManager", manager);
  const read = { property: given, passport, migrateFrom };
  const { property, view, migrate } = readAdapterOptions(manager, read, "value");
  const { get, set } = sessionProperty("request", property, (request) =>
    view(manager.sessionOf((request as FastifyRequest).raw)),
  );
  fastify.decorateRequest(property, { getter: get, setter: set });
  fastify.addHook("onRequest", (request, reply, next) => {
    const handle = (): void => {
      manager.alias(request, request.raw);
      next();
    };
    // Fastify shows an error's message to the client, and pgstore's messages are for operators.
    const fail = (cause: unknown): void => next(new Error("Internal Server Error", { cause }));
    withSession(manager, request.raw, reply.raw, {
      handle,
      fail,
      migrate,
      isSecure: () => request.protocol === "https",
      ip: () => request.ip,
      log: (error) => request.log.error(error),
    });
  });
};

/**
 * Fastify plugin that sets `request.session` in an `onRequest` hook and commits it before the head of the response is sent.
 *
 * The commit comes after every `onSend` hook, and covers streams and hijacked replies.
 *
 * @throws TypeError, naming the option, as a rejection of `register` when one is wrong
 * @example
 * await app.register(session, { manager });
 * app.get("/", async (request) => ({ message: request.session.get("message") }));
 */
export const session: FastifyPluginAsync<FastifySessionOptions> = plugin(register, {
  name: "pgstore",
  fastify: "5.x",
});
