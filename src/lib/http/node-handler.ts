import type { IncomingMessage, ServerResponse } from "node:http";
import { withVary } from "../base/cache-headers.ts";
import { CsrfError } from "../base/errors.ts";
import type { CommitResult } from "../manager/commit-result.ts";
import type { RequestClient } from "../manager/client.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { SessionData } from "../session/session-data.ts";
import { discardEntityHeaders } from "./node-head.ts";
import { type HeldResponse, holdResponse, type ResponseHead } from "./node-response.ts";
import { type OpenHeaders, tell, tellsNothing } from "./response-headers.ts";
import { forwardedFor, isForwardedSecure } from "./secure.ts";

/** A handler as `node:http` has it; it may be asynchronous. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown;

/**
 * Wraps a handler of `node:http`: its requests have a session (`manager.sessionOf(request)`), which is committed before
 * the first byte of the response.
 *
 * What the handler throws, or rejects with, becomes a 500 through the manager's `onError`; the session is committed then
 * too.
 */
export function nodeHandler<Data = SessionData, Lazy extends boolean = false>(
  manager: SessionManager<Data, Lazy>,
  listener: NodeListener,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const fail = (error: unknown): void => {
      // A head without its body: cut it off, rather than let it pass for whole.
      if (response.headersSent && !response.writableEnded) response.destroy();
      void answerError(manager.options.onError, error, request, response);
    };
    const handle = (held?: HeldResponse): void => {
      const failed = (error: unknown): void => {
        held?.forgetHead();
        fail(error);
      };
      try {
        const outcome = listener(request, response);
        if (isThenable(outcome)) outcome.then(undefined, failed);
      } catch (error) {
        failed(error);
      }
    };
    withSession(manager, request, response, handle, fail);
  };
}

/**
 * Loads the session of a request, for `manager.sessionOf`, and holds the response back until it is committed: the sequence
 * that all adapters for Node share. When nothing has to be loaded, `handle` is called at once.
 *
 * @param fail - is told that the session could not be loaded, and what `handle` throws
 * @param frame - what a framework knows better: whether the request came over TLS, where errors are logged
 */
export function withSession<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: IncomingMessage,
  response: ServerResponse,
  handle: (held?: HeldResponse) => void,
  fail: (error: unknown) => void,
  frame: { isSecure?: () => boolean; ip?: () => string; log?: (error: unknown) => void } = {},
): void {
  // Wrapped twice with one manager: the outer one does the work.
  if (manager.has(request)) {
    handle();
    return;
  }
  const { isSecure = () => isEncrypted(request), ip, log } = frame;
  const { trustProxy, tokenHeader, onError = log } = manager.options;
  const vary = tokenHeader === undefined ? "Cookie" : "Authorization";
  const start = (): void => {
    const tls = (): boolean => isSecure() || (trustProxy && isForwardedSecure(request.headers["x-forwarded-proto"]));
    const context = { tls, seal: true };
    const held = holdResponse(response, {
      commit: () => {
        const result = manager.close(request, context);
        return result instanceof Promise
          ? result.then((later) => headOf(response, manager, later))
          : headOf(response, manager, result);
      },
      fail: (error) => {
        setVary(response, vary);
        return answerError(onError, error, request, response);
      },
    });
    handle(held);
  };
  const client = (): RequestClient => ({
    ip: addressOf(request, ip, trustProxy),
    userAgent: request.headers["user-agent"],
  });
  const opening = manager.open(request, request.headers, client);
  // What the next middleware throws is reported like what it throws at once.
  if (opening === undefined) start();
  else {
    opening.then(start).catch((error: unknown) => {
      setVary(response, vary);
      fail(error);
    });
  }
}

function headOf<Data, Lazy extends boolean>(
  response: ServerResponse,
  manager: SessionManager<Data, Lazy>,
  result: CommitResult,
): ResponseHead {
  if (tellsNothing(result)) return { apply: false };
  return { apply: () => tell(openHeaders(response), result, manager.options.cookie.name) };
}

function openHeaders(response: ServerResponse): OpenHeaders {
  return {
    get: (name) => textOf(response, name),
    set: (name, value) => void response.setHeader(name, value),
    delete: (name) => response.removeHeader(name),
    names: () => response.getHeaderNames(),
    getSetCookie: () => [response.getHeader("Set-Cookie") ?? []].flat().map(String),
    setSetCookie: (values) => void response.setHeader("Set-Cookie", values),
  };
}

/** What the response is depends on the session, that it could not be read or stored included. */
function setVary(response: ServerResponse, name: string): void {
  if (!response.headersSent) response.setHeader("Vary", withVary(textOf(response, "Vary"), name));
}

function textOf(response: ServerResponse, name: string): string | undefined {
  const value = response.getHeader(name);
  return value === undefined ? undefined : [value].flat().join(", ");
}

/** Express tells by its setting "trust proxy". */
function isEncrypted(request: IncomingMessage): boolean {
  const { secure } = request as { secure?: unknown };
  return secure === true || (request.socket as { encrypted?: boolean } | null)?.encrypted === true;
}

/** Where a framework trusts a proxy, it says another address than the connection's: Express by the request itself. */
function addressOf(
  request: IncomingMessage,
  frameworks: (() => string) | undefined,
  trustProxy: boolean,
): string | undefined {
  const connection = request.socket?.remoteAddress;
  const told: unknown = frameworks?.() ?? (request as { ip?: unknown }).ip;
  if (typeof told === "string" && told !== connection) return told;
  return (trustProxy ? forwardedFor(request.headers["x-forwarded-for"]) : undefined) ?? connection;
}

/** Lets `onError` answer, and answers with a plain 500 (or 403) what it left open. Never throws. */
async function answerError(
  onError: ((error: unknown, request: unknown, response: unknown) => unknown) | undefined = logError,
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const status = error instanceof CsrfError ? error.status : 500;
  if (!response.headersSent) {
    discardEntityHeaders(response);
    response.statusCode = status;
    response.statusMessage = "";
  }
  try {
    await onError(error, request, response);
  } catch (second) {
    logError(second);
  }
  // Also when the client has gone: with its end the session is committed.
  if (response.headersSent) return;
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end(status === 403 ? "Forbidden\n" : "Internal Server Error\n");
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

function logError(error: unknown): void {
  // That one was refused, nothing has failed.
  if (error instanceof CsrfError) return;
  console.error("pgstore: the request failed:", error);
}
