import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { Session } from "../session/session.ts";
import type { SessionData } from "../session/session-data.ts";
import { passError } from "./node-error.ts";
import { withSession } from "./node.ts";
import { propertyName, type PropertyOptions, sessionProperty } from "./property.ts";

declare global {
  // oxlint-disable-next-line typescript/no-namespace -- Express's types are made to be augmented so
  namespace Express {
    interface Request {
      /** Of `connect(manager)`. With `lazy: true`, or another type of data, `manager.sessionOf(request)` knows better. */
      session: Session;
    }
  }
}

/** A request that has passed `connect`. */
export type WithSession<Data = SessionData, Lazy extends boolean = false> = { session: SessionFor<Data, Lazy> };

/**
 * Makes middleware for Express, Connect and Polka: `request.session` (and `manager.sessionOf(request)`) is the session,
 * committed before the first byte of the response. An error while loading goes to `next`.
 *
 * With `cookie.secure: "auto"` it follows Express's "trust proxy", elsewhere the manager's `trustProxy`.
 */
export function connect<Data = SessionData, Lazy extends boolean = false>(
  manager: SessionManager<Data, Lazy>,
  options: PropertyOptions = {},
): (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void {
  const property = propertyName(options);
  const descriptor = sessionProperty("request", property, (request) => manager.sessionOf(request));
  return (request, response, next) => {
    const handle = (): void => {
      Object.defineProperty(request, property, descriptor);
      next();
    };
    withSession(manager, request, response, { handle, fail: (error) => passError(error, response, next) });
  };
}
