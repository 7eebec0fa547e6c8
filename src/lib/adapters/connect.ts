import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { SessionData } from "../session/session-data.ts";
import { passError } from "./node-error.ts";
import { withSession } from "./node.ts";
import { type AdapterOptions, readAdapterOptions } from "./passport/adapter.ts";
import { sessionProperty } from "./property.ts";

/** The property that `connect` adds to a request. */
export type WithSession<Data = SessionData, Lazy extends boolean = false> = { session: SessionFor<Data, Lazy> };

/**
 * Creates middleware for Express, Connect and Polka that sets `request.session` and commits it before the first byte of the response.
 *
 * `cookie.secure: "auto"` takes Express's `trust proxy` into account, and the manager's `trustProxy` everywhere.
 *
 * @param options - `property`: where the request holds the session; several managers need different properties. `passport: true`: gives Passport
 *   the session that it expects; `migrateFrom`: continues sessions of express-session
 * @returns middleware that passes an error of loading the session to `next`
 * @throws TypeError when an option is wrong; it names the option
 * @example
 * app.use(connect(manager));
 * app.get("/", (request, response) => response.send(request.session.get("message")));
 */
export function connect<Data = SessionData, Lazy extends boolean = false>(
  manager: SessionManager<Data, Lazy>,
  options: AdapterOptions = {},
): (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void {
  const { property, view, migrate } = readAdapterOptions(manager, options, "property");
  const descriptor = sessionProperty("request", property, (request) => view(manager.sessionOf(request)));
  return (request, response, next) => {
    const handle = (): void => {
      Object.defineProperty(request, property, descriptor);
      next();
    };
    const fail = (error: unknown): void => passError(error, response, next);
    withSession(manager, request, response, { handle, fail, migrate });
  };
}
