import type { Context, MiddlewareHandler } from "hono";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { SessionData } from "../session/session-data.ts";
import { closeRequest, openRequest, tellCommitted, varyBy } from "./fetch.ts";
import { propertyName } from "./property.ts";
import { isEntityHeader } from "./response-headers.ts";

/**
 * Makes middleware for Hono: `c.var.session` (and `manager.sessionOf(c)`) is the session, committed before the response
 * leaves. What fails in loading or committing it goes to `app.onError`, whose answer tells the client what was stored before.
 *
 * @param options - property: the variable's name, another one for each of several managers
 */
export function session<Data = SessionData, Lazy extends boolean = false, Property extends string = "session">(
  manager: SessionManager<Data, Lazy>,
  options: { property?: Property } = {},
): MiddlewareHandler<{ Variables: { [P in Property]: SessionFor<Data, Lazy> } }> {
  const property = propertyName(options) as Property;
  return async (context, next) => {
    const request = context.req.raw;
    const outermost = !manager.has(request);
    if (outermost) {
      try {
        await openRequest(manager, request, context.env);
      } catch (error) {
        varyBy(manager, context.res.headers);
        throw asError(error);
      }
    }
    manager.alias(context, request);
    context.set(property, manager.sessionOf(request) as never);
    await next();
    if (!outermost) return;
    const answer = context.res;
    try {
      replace(context, await closeRequest(manager, request, answer));
    } catch (error) {
      // Hono adds these to the answer of app.onError. What the application has said of its own answer must not stand there.
      const headers = new Headers();
      for (const [name, value] of answer.headers) if (!isEntityHeader(name)) headers.append(name, value);
      tellCommitted(manager, request, headers);
      replace(context, new Response(null, { headers }));
      throw asError(error);
    }
  };
}

/** Empties it first: Hono would merge the headers of the old response into the new one. */
function replace(context: Pick<Context, "res">, response: Response): void {
  context.res = undefined as never;
  context.res = response;
}

/** Hono answers nothing else. */
function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error("the session could not be loaded or stored", { cause: error });
}
