import type { IncomingMessage, ServerResponse } from "node:http";
import { type Duration, OptionReader } from "../core/options.ts";
import { SessionMissingError } from "../core/errors.ts";
import type { CookieOptions } from "../manager/cookie-options.ts";
import { SessionManager } from "../manager/session-manager.ts";
import type { Codec } from "../core/codec.ts";
import type { Store, StoreExtras } from "../core/store.ts";
import type { Session } from "../session/session.ts";
import { type NodeHandler, nodeHandler, type NodeListener } from "../adapters/node.ts";
import { sessionProperty } from "../adapters/property.ts";

/** A session of SCS, which holds any key. */
export type AnySession = Session<Record<string, unknown>>;

/** The options of SCS v0.1.1 and v2 for `manage`, in camelCase. */
export interface ManageOptions {
  /** Absolute lifetime of a session, regardless of activity. Default `"24h"`. */
  lifetime?: Duration | undefined;
  /** Allowed inactivity. Default: none. */
  idleTimeout?: Duration | undefined;
  /** Domain of the cookie. Default: only the host that set it. */
  domain?: string | undefined;
  /** Whether scripts can't read the cookie. Default true. */
  httpOnly?: boolean | undefined;
  /** Path of the cookie. Default `"/"`. */
  path?: string | undefined;
  /** Whether the cookie outlives the browser's session. Default false. */
  persist?: boolean | undefined;
  /** Whether the cookie is sent over TLS only. Default `"auto"`: when the request came over TLS. */
  secure?: boolean | "auto" | undefined;
  /** SameSite attribute of the cookie. Default `"lax"`. */
  sameSite?: CookieOptions["sameSite"] | undefined;
  /** Whether the cookie is partitioned by top-level site. Default false. */
  partitioned?: boolean | undefined;
  /** Name of the cookie (SCS: CookieName). Default `"session"`. The default of SCS v0.1.1 is `"scs.session.token"`. */
  cookieName?: string | undefined;
  /**
   * Name of the request's property that holds the session (SCS: ContextName). The functions of this module work without
   * it. Default: none.
   */
  contextName?: string | undefined;
  /**
   * Whether the table holds hashes of tokens (SCS v2: HashTokenInStore). Default true. False shares the table with SCS
   * v0.1.1.
   */
  hashTokens?: boolean | undefined;
  /** Converts a session to bytes and back (SCS v2: Codec). Default `scsJson`. */
  codec?: Codec | undefined;
  /**
   * Answers a request whose session could not be loaded or stored (SCS: ErrorFunc). Default: logs the error and answers
   * with a plain 500.
   */
  errorFunc?: ((request: IncomingMessage, response: ServerResponse, error: unknown) => unknown) | undefined;
}

/** The session of each request, from any manager, because SCS's functions take only the request. */
const sessions = new WeakMap<object, AnySession>();

/**
 * Creates the middleware of SCS: `manage(engine)(handler)` is a handler for `node:http` whose requests have a session.
 *
 * @param engine - any store. The caller closes it
 * @throws TypeError, naming the option, when one is wrong
 * @example
 * const sessionManager = manage(new PgStore(pool));
 * http.createServer(sessionManager((req, res) => res.end(getString(req, "message"))));
 */
export function manage(
  engine: Store & StoreExtras,
  options: ManageOptions = {},
): (listener: NodeListener) => NodeHandler {
  const read = new OptionReader(options);
  const contextName = read.text("contextName", undefined);
  const errorFunc = read.callback<NonNullable<ManageOptions["errorFunc"]>>("errorFunc");
  const { contextName: _name, errorFunc: _func, ...known } = options;
  const { cookieName: name, domain, httpOnly, path, persist, secure, sameSite, partitioned, ...sessionOptions } = known;
  const cookie = { name, domain, httpOnly, path, persist, secure, sameSite, partitioned };
  const onError =
    errorFunc &&
    ((error: unknown, request: IncomingMessage, response: ServerResponse) => errorFunc(request, response, error));
  const manager = new SessionManager<Record<string, unknown>>(engine, {
    ...sessionOptions,
    cookie,
    onError,
  });
  const descriptor =
    contextName === undefined ? undefined : sessionProperty("request", contextName, (of) => manager.sessionOf(of));
  return (listener) =>
    nodeHandler(manager, (request, response) => {
      const session = manager.sessionOf(request);
      sessions.set(request, session);
      if (descriptor !== undefined) Object.defineProperty(request, contextName ?? "", descriptor);
      return listener(request, response);
    });
}

/**
 * Returns the `Session` of a request. Like every function of this module it needs a handler that `manage` has wrapped.
 *
 * @throws SessionMissingError when `manage` has not wrapped the handler
 */
export function sessionOf(request: object): AnySession {
  const session = sessions.get(request);
  if (session === undefined) throw new SessionMissingError();
  return session;
}

/**
 * Gives the session a new token and keeps its data. The old token is dead at once, and the lifetime begins anew. Call it before every login.
 *
 * @throws PgStoreError, as a rejection, when the store fails. The session then keeps its old token
 */
export function regenerateToken(request: object): Promise<void> {
  return sessionOf(request).renewToken({ restart: true });
}

/**
 * Gives the session a new token and drops its data.
 *
 * @throws PgStoreError, as a rejection, when the store fails. The session then keeps its old token
 */
export function renew(request: object): Promise<void> {
  return sessionOf(request).reset();
}

/** Destroys the session and clears the cookie. Later changes throw AlreadyCommittedError. */
export function destroy(request: object): Promise<void> {
  return sessionOf(request).destroy();
}

/** Commits the session now, before a streamed response for example. Later changes throw AlreadyCommittedError. */
export function save(request: object): Promise<void> {
  return sessionOf(request).save();
}

/** Returns the keys of the session, sorted. */
export function keys(request: object): string[] {
  return sessionOf(request).keys();
}

/** Says whether the session has a key. */
export function exists(request: object, key: string): boolean {
  return sessionOf(request).has(key);
}

/** Removes a key. Does nothing when it is absent. */
export function remove(request: object, key: string): void {
  sessionOf(request).delete(key);
}

/** Removes every key. The session keeps its token and its lifetime. */
export function clear(request: object): void {
  sessionOf(request).clear();
}
