import type { Context, MiddlewareHandler } from "hono";
import { OptionReader } from "../core/options.ts";
import type { RequestSession, SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import { addVary, isEntityHeader } from "../http/headers.ts";
import type { Register, SessionData } from "../session/session-data.ts";
import { closeRequest, openRequest, applyCommitted } from "./fetch.ts";
import type { PropertyOptions } from "./property.ts";

declare module "hono" {
  /** Has `session`, if `Register` names the manager. Otherwise the type comes with `new Hono().use(session(manager)).get(…)`. */
  interface ContextVariableMap extends RegisteredVariables {}
}

type RegisteredVariables = Register extends { manager: object } ? { session: RequestSession } : object;

/**
 * Creates middleware for Hono that sets `c.var.session` and commits it before the response is sent.
 *
 * When the session can't be loaded or committed, `app.onError` answers. Its answer still carries the cookie for changes
 * stored before.
 *
 * @param options - `property`: the variable's name, a different one for each manager
 * @throws TypeError, naming the option, when one is wrong
 * @example
 * const app = new Hono().use(session(manager)).get("/", (c) => c.text(c.var.session.get("message") ?? ""));
 */
export function session<Data = SessionData, Lazy extends boolean = false, const Property extends string = "session">(
  manager: SessionManager<Data, Lazy>,
  options: PropertyOptions<Property> = {},
): MiddlewareHandler<{ Variables: { [P in Property]: SessionFor<Data, Lazy> } }> {
  const read = new OptionReader(options);
  const property = read.text("property", "session") as Property;
  read.end();
  return async (context, next) => {
    const request = context.req.raw;
    const outermost = !manager.has(request);
    if (outermost) {
      try {
        await openRequest(manager, request, context.env);
      } catch (error) {
        addVary(context.res.headers, manager.options.vary);
        throw asError(error);
      }
    }
    manager.alias(context, request);
    context.set(property, manager.sessionOf(request) as never);
    let failure: Error | undefined;
    try {
      await next();
    } catch (thrown) {
      failure = asError(thrown, "the handler threw a value that is not an Error");
    }
    if (!outermost) {
      if (failure !== undefined) throw failure;
      return;
    }
    const answer = context.res;
    try {
      replace(context, await closeRequest(manager, request, answer));
    } catch (error) {
      // Hono adds these headers to the answer of app.onError, so headers about the discarded body must go.
      const headers = new Headers();
      for (const [name, value] of answer.headers) if (!isEntityHeader(name)) headers.append(name, value);
      applyCommitted(manager, request, headers);
      replace(context, new Response(null, { headers }));
      throw asError(error);
    }
    if (failure !== undefined) throw failure;
  };
}

/** Replaces the response. Without the reset, Hono would merge the old headers into the new response. */
function replace(context: Pick<Context, "res">, response: Response): void {
  context.res = undefined as never;
  context.res = response;
}

/** Wraps a thrown value that is not an Error, because Hono answers only Errors. */
function asError(error: unknown, message = "the session could not be loaded or stored"): Error {
  return error instanceof Error ? error : new Error(message, { cause: error });
}
