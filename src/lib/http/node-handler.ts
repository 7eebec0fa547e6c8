import type { IncomingMessage, ServerResponse } from "node:http";
import { withNoStore, withVaryCookie } from "../base/cache-headers.ts";
import type { CommitResult } from "../manager/commit-result.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { Session } from "../session/session.ts";
import type { SessionData } from "../session/session-data.ts";
import { discardEntityHeaders } from "./node-head.ts";
import { type HeldResponse, holdResponse, type ResponseHead } from "./node-response.ts";

/** A handler as `node:http` has it; it may be asynchronous. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown;

/**
 * Wraps a handler of `node:http`: its requests have a session (`manager.sessionOf(request)`), which is committed before
 * the first byte of the response.
 *
 * What the handler throws, or rejects with, becomes a 500 through the manager's `onError`; the session is committed then
 * too.
 */
export function nodeHandler<Data = SessionData>(
  manager: SessionManager<Data>,
  listener: NodeListener,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const fail = (error: unknown): void => {
      // A head without its body: cut it off, rather than let it pass for whole.
      if (response.headersSent && !response.writableEnded) response.destroy();
      void answerError(manager, error, request, response);
    };
    const handle = (_session: Session<Data>, held?: HeldResponse): void => {
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
 * Loads the session of a request, binds it and holds the response back until it is committed: the sequence that all
 * adapters for Node share. Without a cookie of ours `handle` is called at once.
 */
export function withSession<Data>(
  manager: SessionManager<Data>,
  request: IncomingMessage,
  response: ServerResponse,
  handle: (session: Session<Data>, held?: HeldResponse) => void,
  fail: (error: unknown) => void,
): void {
  // Wrapped twice with one manager: the outer one does the work.
  if (manager.has(request)) {
    handle(manager.sessionOf(request));
    return;
  }
  const start = (session: Session<Data>): void => {
    manager.bind(request, session);
    const context = { tls: isEncrypted(request), seal: true };
    const held = holdResponse(response, {
      commit: () => {
        const settled = manager.commitSettled(session, context);
        return settled === undefined
          ? manager.commit(session, context).then((result) => headOf(response, manager, result))
          : headOf(response, manager, settled);
      },
      fail: (error) => {
        setVary(response);
        return answerError(manager, error, request, response);
      },
    });
    handle(session, held);
  };
  const session = manager.loadFromCookie(request.headers.cookie);
  // What the next middleware throws is reported like what it throws at once.
  if (session instanceof Promise) {
    session.then(start).catch((error: unknown) => {
      setVary(response);
      fail(error);
    });
  } else start(session);
}

function headOf<Data>(response: ServerResponse, manager: SessionManager<Data>, result: CommitResult): ResponseHead {
  const { setCookie, varies } = result;
  if (setCookie === undefined && !varies) return { apply: false };
  return {
    apply: () => {
      setVary(response);
      if (setCookie === undefined) return;
      response.setHeader("Cache-Control", withNoStore(textOf(response, "Cache-Control")));
      // One of our name at most; those of others stay.
      const others = [response.getHeader("Set-Cookie") ?? []].flat().map(String);
      const ours = `${manager.options.cookie.name}=`;
      response.setHeader("Set-Cookie", [...others.filter((cookie) => !cookie.startsWith(ours)), setCookie]);
    },
  };
}

/** What the response is depends on the session, that it could not be read or stored included. */
function setVary(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader("Vary", withVaryCookie(textOf(response, "Vary")));
}

function textOf(response: ServerResponse, name: string): string | undefined {
  const value = response.getHeader(name);
  return value === undefined ? undefined : [value].flat().join(", ");
}

function isEncrypted(request: IncomingMessage): boolean {
  return (request.socket as { encrypted?: boolean } | null)?.encrypted === true;
}

/** Lets `onError` answer, and answers with a plain 500 what it left open. Never throws. */
async function answerError<Data>(
  manager: SessionManager<Data>,
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { onError = logError } = manager.options;
  if (!response.headersSent) {
    discardEntityHeaders(response);
    response.statusCode = 500;
    response.statusMessage = "";
  }
  try {
    await onError(error, request, response);
  } catch (second) {
    logError(second);
  }
  if (response.headersSent || response.destroyed) return;
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end("Internal Server Error\n");
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

function logError(error: unknown): void {
  console.error("pgstore: the request failed:", error);
}
