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

/** The seed's sessions hold any key. */
export type AnySession = Session<Record<string, unknown>>;

/** The seed's options, in its spelling, and what its second major version added. */
export interface ManageOptions {
  /** Absolute length of a session. Default `"24h"`. */
  lifetime?: Duration | undefined;
  /** Allowed inactivity. Default: none. */
  idleTimeout?: Duration | undefined;
  /** Default: the host that set the cookie. */
  domain?: string | undefined;
  /** Default true. */
  httpOnly?: boolean | undefined;
  /** Default `"/"`. */
  path?: string | undefined;
  /** Whether the cookie outlives the browser's session. Default false. */
  persist?: boolean | undefined;
  /** Default `"auto"`: over TLS. */
  secure?: boolean | "auto" | undefined;
  /** Default `"lax"`. */
  sameSite?: CookieOptions["sameSite"] | undefined;
  /** Default false. */
  partitioned?: boolean | undefined;
  /** The cookie's name; SCS: CookieName. Default `"session"`; the seed's own is `"scs.session.token"`. */
  cookieName?: string | undefined;
  /**
   * The property of the request that holds the session, for those who want it there; SCS: ContextName. The functions of
   * this module find the session without it. Default: none.
   */
  contextName?: string | undefined;
  /** SCS v2: HashTokenInStore. Default true; false shares the table with SCS v0.1.1. */
  hashTokens?: boolean | undefined;
  /** SCS v2: Codec. Default `scsJson`. */
  codec?: Codec | undefined;
  /** Answers a request whose session could not be loaded or written; SCS: ErrorFunc. Default: logs, and a plain 500. */
  errorFunc?: ((request: IncomingMessage, response: ServerResponse, error: unknown) => unknown) | undefined;
}

const COOKIE_OPTIONS = ["domain", "httpOnly", "path", "persist", "secure", "sameSite", "partitioned"] as const;

/** Request to session, whichever manager loaded it: the functions of the seed take the request alone. */
const sessions = new WeakMap<object, AnySession>();

/**
 * Makes the seed's middleware: `manage(engine)(handler)` is a handler for `node:http` whose requests have a session.
 *
 * @param engine - any store
 * @throws TypeError when an option is wrong; it names the option
 */
export function manage(
  engine: Store & StoreExtras,
  options: ManageOptions = {},
): (listener: NodeListener) => NodeHandler {
  const { cookieName, contextName: _name, errorFunc: _func, ...rest } = options;
  const read = new OptionReader(options);
  const contextName = read.text("contextName", undefined);
  const errorFunc = read.callback<NonNullable<ManageOptions["errorFunc"]>>("errorFunc");
  const sessionOptions: Record<string, unknown> = { ...rest };
  const cookie: Record<string, unknown> = cookieName === undefined ? {} : { name: cookieName };
  for (const name of COOKIE_OPTIONS) {
    delete sessionOptions[name];
    if (rest[name] !== undefined) cookie[name] = rest[name];
  }
  const onError =
    errorFunc &&
    ((error: unknown, request: IncomingMessage, response: ServerResponse) => errorFunc(request, response, error));
  const manager = new SessionManager<Record<string, unknown>>(engine, {
    ...sessionOptions,
    cookie,
    ...(onError === undefined ? {} : { onError }),
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
 * The session of a request, as the rest of pgstore has it.
 *
 * @throws SessionMissingError when `manage` has not wrapped the handler
 */
export function sessionOf(request: object): AnySession {
  const session = sessions.get(request);
  if (session === undefined) throw new SessionMissingError();
  return session;
}

/** Makes a new token and keeps the data; the old token is dead at once, the lifetime begins anew. Before every login. */
export function regenerateToken(request: object): Promise<void> {
  return sessionOf(request).renewToken({ restart: true });
}

/** Makes a new token and drops the data. */
export function renew(request: object): Promise<void> {
  return sessionOf(request).reset();
}

/** Ends the session and clears the cookie. Later operations on it throw AlreadyCommittedError. */
export function destroy(request: object): Promise<void> {
  return sessionOf(request).destroy();
}

/** Commits now, before streaming. Later changes throw AlreadyCommittedError. */
export function save(request: object): Promise<void> {
  return sessionOf(request).save();
}

/** The keys, sorted. */
export function keys(request: object): string[] {
  return sessionOf(request).keys();
}

/** Says whether a key is present. */
export function exists(request: object, key: string): boolean {
  return sessionOf(request).has(key);
}

/** Removes a key; does nothing when it is absent. */
export function remove(request: object, key: string): void {
  sessionOf(request).delete(key);
}

/** Removes every key; token and lifetime stay. */
export function clear(request: object): void {
  sessionOf(request).clear();
}
