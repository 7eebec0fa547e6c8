import type { MiddlewareHandler } from "hono";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { SessionData } from "../session/session-data.ts";
import { closeRequest, openRequest } from "./fetch.ts";
import { propertyName } from "./property.ts";
import { isEntityHeader } from "./response-headers.ts";

/**
 * Makes middleware for Hono: `c.var.session` (and `manager.sessionOf(c)`) is the session, committed before the response
 * leaves. What fails in loading or committing it goes to `app.onError`.
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
    if (outermost) await openRequest(manager, request);
    manager.alias(context, request);
    context.set(property, manager.sessionOf(request) as never);
    await next();
    if (!outermost) return;
    const answer = context.res;
    // Emptied first: Hono would merge the headers of the old response into the new one.
    context.res = undefined;
    try {
      context.res = await closeRequest(manager, request, answer);
    } catch (error) {
      // What the application has said of its own answer must not stand on the one of app.onError.
      context.finalized = false;
      for (const name of answer.headers.keys()) if (isEntityHeader(name)) context.header(name, undefined);
      throw error;
    }
  };
}
