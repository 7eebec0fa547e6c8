import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { SessionData } from "../session/session-data.ts";
import { passError } from "./node-error.ts";
import { withSession } from "./node.ts";
import { type AdapterOptions, readAdapterOptions } from "./passport/adapter.ts";
import { sessionProperty } from "./property.ts";

/** express-session calls methods of its own session at the end of each response. They fail on pgstore's, and the response would hang. */
const BESIDE_EXPRESS_SESSION =
  "request.session: express-session has already set it. Remove express-session, or give pgstore another property: " +
  'connect(manager, { property: "pg" })';

/** The property that `connect` adds to a request. */
export type WithSession<Data = SessionData, Lazy extends boolean = false> = { session: SessionFor<Data, Lazy> };

/**
 * Creates middleware for Express, Connect and Polka that sets `request.session` and commits it before the first byte of the response.
 *
 * `cookie.secure: "auto"` follows Express's `trust proxy` and, in every framework, the manager's `trustProxy`.
 *
 * @param options - `property`: the request's property for the session, a different one for each manager. `passport`:
 *   gives Passport the session that it expects. `migrateFrom`: continues sessions of express-session
 * @returns middleware that passes an error to `next` when the session can't be loaded
 * @throws TypeError, naming the option, when one is wrong
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
    if (property === "session" && "sessionStore" in request) return fail(new TypeError(BESIDE_EXPRESS_SESSION));
    withSession(manager, request, response, { handle, fail, migrate });
  };
}
