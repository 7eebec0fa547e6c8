import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionManager } from "../manager/session-manager.ts";
import type { Session } from "../session/session.ts";
import type { SessionData } from "../session/session-data.ts";
import { withSession } from "./node-handler.ts";

/**
 * Makes middleware for Express, Connect and Polka: `request.session` (and `manager.sessionOf(request)`) is the session,
 * committed before the first byte of the response. An error while loading goes to `next`.
 */
export function connect<Data = SessionData>(
  manager: SessionManager<Data>,
): (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void {
  return (request, response, next) => {
    const handle = (session: Session<Data>): void => {
      (request as { session?: unknown }).session = session;
      next();
    };
    withSession(manager, request, response, handle, next);
  };
}
