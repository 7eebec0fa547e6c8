import type { ExpressSessionData } from "./data.ts";

/** The properties of a request that express-session uses. */
export interface HostRequest {
  sessionID?: string | undefined;
  session?: unknown;
  sessionStore?: unknown;
  headers?: unknown;
}

/** `request.session` of express-session. */
type HostSession = ExpressSessionData & { id: string };

type Generate = ((request: HostRequest) => void) | undefined;

type HostCookie = ExpressSessionData["cookie"] & { originalMaxAge?: unknown };

interface Classes {
  Session: new (request: HostRequest, data: object) => HostSession;
  /** The prototype of the session's cookie. express-session doesn't export its class. */
  cookie: object;
}

const classes = new WeakMap<NonNullable<Generate>, Classes>();

/** Does the work of express-session's `Store.prototype.createSession`. */
export function inflate(generate: Generate, request: HostRequest, data: ExpressSessionData): HostSession {
  const { Session, cookie: prototype } = classesOf(generate, request);
  // This throws for a session without a cookie, as express-session's own method does.
  const originalMaxAge = (data.cookie as HostCookie).originalMaxAge;
  const empty = { path: "/", maxAge: null, httpOnly: true };
  const cookie = Object.assign(Object.create(prototype) as HostCookie, empty, data.cookie);
  if (typeof cookie.expires === "string") cookie.expires = new Date(cookie.expires);
  // Assigning `expires` has changed it.
  cookie.originalMaxAge = originalMaxAge;
  const session = new Session(request, { ...data, cookie });
  request.session = session;
  return session;
}

/**
 * Returns express-session's own classes. pgstore doesn't import express-session, because @fastify/session works without it. The classes
 * are taken from a session that `generate` creates on a stand-in for the request.
 *
 * @throws TypeError when the store was not passed to express-session
 */
function classesOf(generate: Generate, request: HostRequest): Classes {
  if (generate === undefined)
    throw new TypeError("createSession: expected a store in use. Pass the store to express-session first");
  const known = classes.get(generate);
  if (known !== undefined) return known;
  const standIn = Object.create(request) as HostRequest;
  generate(standIn);
  const session = standIn.session as HostSession;
  const found: Classes = {
    Session: session.constructor as Classes["Session"],
    cookie: Object.getPrototypeOf(session.cookie) as object,
  };
  classes.set(generate, found);
  return found;
}
