import type { IncomingMessage, ServerResponse } from "node:http";
// oxlint-disable-next-line import/no-empty-named-blocks, unicorn/require-module-specifiers -- for the compiler to find what is augmented below
import type {} from "koa";
import type { RequestSession, SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { Register, SessionData } from "../session/session-data.ts";
import { asError } from "./node-error.ts";
import { type HeldResponse, withSession } from "./node.ts";
import { type AdapterOptions, readAdapterOptions } from "./passport/adapter.ts";
import { sessionProperty } from "./property.ts";

declare module "koa" {
  /** Has `session`, if `Register` names the manager. Otherwise the type comes with `new Koa().use(session(manager)).use(…)`. */
  interface DefaultContext extends RegisteredContext {}
}

type RegisteredContext = Register extends { manager: object } ? { session: RequestSession } : object;

/** The part of Koa's context that is used. */
interface KoaContext {
  req: IncomingMessage;
  res: ServerResponse;
  /** Follows `app.proxy`. */
  secure: boolean;
  ip: string;
}

/**
 * Creates middleware for Koa that sets `ctx.session` and commits it before the first byte of the response.
 *
 * @param options - `property`: the context's property for the session, a different one for each manager. `passport`:
 *   gives koa-passport the session that it expects
 * @returns middleware that rejects, so that Koa answers, when the session can't be loaded
 * @throws TypeError, naming the option, when one is wrong
 * @example
 * const app = new Koa().use(session(manager)).use((ctx) => {
 *   ctx.body = ctx.session.get("message");
 * });
 */
export function session<Data = SessionData, Lazy extends boolean = false, const Property extends string = "session">(
  manager: SessionManager<Data, Lazy>,
  options: AdapterOptions<Property> = {},
): (
  context: KoaContext & { [P in Property]: SessionFor<Data, Lazy> },
  next: () => Promise<unknown>,
) => Promise<unknown> {
  const { property, view, migrate } = readAdapterOptions(manager, options, "property");
  const descriptor = sessionProperty("ctx", property, (context) => view(manager.sessionOf(context)));
  return async (context, next) => {
    const { req, res } = context;
    const held = await new Promise<HeldResponse | undefined>((resolve, reject) => {
      const isSecure = (): boolean => context.secure;
      const fail = (error: unknown): void => reject(asError(error));
      withSession(manager, req, res, { handle: resolve, fail, migrate, isSecure, ip: () => context.ip });
    });
    manager.alias(context, req);
    Object.defineProperty(context, property, descriptor);
    try {
      return await next();
    } finally {
      held?.settle();
    }
  };
}
