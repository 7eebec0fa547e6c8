import type { RequestSession } from "../manager/lazy-session.ts";

/*
 * The type of Express's `request.session`. It stands apart from `connect`, so that programs with the types of express-session, which declare
 * the same property, can use everything else.
 */

declare global {
  // oxlint-disable-next-line typescript/no-namespace -- Express's types are made to be augmented so
  namespace Express {
    interface Request {
      /**
       * The session, set by `session(manager)`. Typed by the manager that `Register` names, otherwise by `SessionData`.
       */
      session: RequestSession;
    }
  }
}

export { connect, type WithSession } from "./connect.ts";
