import type { FastifyPluginAsync, FastifyRequest } from "fastify";
import plugin from "fastify-plugin";
import { wrong } from "../core/options.ts";
import { SessionManager } from "../manager/session-manager.ts";
import type { Session } from "../session/session.ts";
import { withSession } from "./node.ts";
import { propertyName, type PropertyOptions, sessionProperty } from "./property.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Of `pgstore/fastify`. With `lazy: true`, or another type of data, `manager.sessionOf(request)` knows better. */
    session: Session;
  }
}

/** Options of the plugin. */
export interface FastifySessionOptions extends PropertyOptions {
  /** A SessionManager, of whichever data. */
  manager: { sessionOf(request: object): unknown };
}

// Asynchronous, so that what it throws fails the registration.
const register: FastifyPluginAsync<FastifySessionOptions> = async (fastify, options) => {
  // Fastify hands over what it takes itself: prefix, logLevel, logSerializers.
  const { manager, property: given } = options;
  if (!(manager instanceof SessionManager)) throw wrong("manager", "a SessionManager", manager);
  const property = propertyName({ property: given });
  const { get, set } = sessionProperty("request", property, (request) =>
    manager.sessionOf((request as FastifyRequest).raw),
  );
  fastify.decorateRequest(property, { getter: get, setter: set });
  fastify.addHook("onRequest", (request, reply, next) => {
    const handle = (): void => {
      manager.alias(request, request.raw);
      next();
    };
    // Fastify shows an error's message to the client; ours are for operators.
    const fail = (cause: unknown): void => next(new Error("Internal Server Error", { cause }));
    withSession(
      manager,
      request.raw,
      reply.raw,
      { handle, fail },
      {
        isSecure: () => request.protocol === "https",
        ip: () => request.ip,
        log: (error) => request.log.error(error),
      },
    );
  });
};

/**
 * The plugin for Fastify: `app.register(session, { manager })`. `request.session` (and `manager.sessionOf(request)`) is the
 * session from the first `onRequest` hook on. It is committed when the head is about to leave, after every `onSend` hook,
 * streams and hijacked replies included.
 */
export const session: FastifyPluginAsync<FastifySessionOptions> = plugin(register, {
  name: "pgstore",
  fastify: "5.x",
});
