import type { ExpressSessionData } from "./data.ts";

/** A request as express-session sees it. */
export interface HostRequest {
  sessionID?: string | undefined;
  session?: unknown;
  sessionStore?: unknown;
  headers?: unknown;
}

/** `request.session` of express-session. */
export type HostSession = ExpressSessionData & { id: string };

type Generate = ((request: HostRequest) => void) | undefined;

type HostCookie = ExpressSessionData["cookie"] & { originalMaxAge?: unknown };

interface Classes {
  Session: new (request: HostRequest, data: object) => HostSession;
  /** The prototype of its cookies, whose class can't be known. */
  cookie: object;
}

const classes = new WeakMap<NonNullable<Generate>, Classes>();

/** What `Store.prototype.createSession` of express-session does. */
export function inflate(generate: Generate, request: HostRequest, data: ExpressSessionData): HostSession {
  const { Session, cookie: prototype } = classesOf(generate, request);
  // Of a session without a cookie this throws, as express-session's own does.
  const originalMaxAge = (data.cookie as HostCookie).originalMaxAge;
  const empty = { path: "/", maxAge: null, httpOnly: true };
  const cookie = Object.assign(Object.create(prototype) as HostCookie, empty, data.cookie);
  if (typeof cookie.expires === "string") cookie.expires = new Date(cookie.expires);
  // Setting expires has changed it.
  cookie.originalMaxAge = originalMaxAge;
  const session = new Session(request, { ...data, cookie });
  request.session = session;
  return session;
}

/**
 * express-session's own classes. This package doesn't import it, as @fastify/session gets by without: they are those of the
 * session that `generate` makes, for a stand-in of the request that takes what is set on it.
 */
function classesOf(generate: Generate, request: HostRequest): Classes {
  if (generate === undefined) throw new TypeError("createSession: express-session has not been given this store");
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

/** What `Store.prototype.regenerate` of express-session does. */
export function regenerate(
  store: { destroy(sid: string, callback: (error: unknown) => void): void; generate: Generate },
  request: HostRequest,
  callback: ((error?: unknown) => void) | undefined,
): void {
  store.destroy(request.sessionID ?? "", (error) => {
    store.generate?.(request);
    callback?.(error ?? undefined);
  });
}
