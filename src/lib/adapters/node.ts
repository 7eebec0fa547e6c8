import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { RefusedError } from "../core/errors.ts";
import { failureLog } from "../core/log.ts";
import { withVary } from "../http/headers.ts";
import type { CommitContext, CommitResult } from "../manager/commit-result.ts";
import type { SessionData } from "../session/session-data.ts";
import type { RequestClient } from "../manager/request.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { HeadChange, ResponseGate } from "./held/gates.ts";
import { discardEntityHeaders } from "./held/head.ts";
import { INTERNAL, setStatus } from "./node-error.ts";
import { canCarry, type HeldResponse, holdResponse } from "./node-response.ts";
import { forwardedFor, isForwardedSecure, isSpeculative, warnOfCookie, whenClosed } from "./request.ts";
import { applyCommit, hasNothingToTell } from "./response-headers.ts";

/** A handler as `node:http` has it; it may be asynchronous. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A listener that `node:http`, `node:https` and `node:http2` take. */
export interface NodeHandler {
  (request: IncomingMessage, response: ServerResponse): void;
  (request: Http2ServerRequest, response: Http2ServerResponse): void;
}

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
): NodeHandler {
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    const fail = (error: unknown): void => answerError(manager.options.onError, error, request, response);
    const handle = (held?: HeldResponse): void => {
      const failed = (error: unknown): void => {
        if (response.headersSent && held !== undefined) {
          const answer = held.restart();
          if (answer !== response) {
            answerError(manager.options.onError, error, request, answer);
            return;
          }
          // A head without its body: cut it off, rather than let it pass for whole.
          if (!response.finished) response.destroy();
        }
        fail(error);
      };
      try {
        const outcome = listener(request, response);
        if (isThenable(outcome)) outcome.then(() => held?.settle(), failed);
        else held?.settle();
      } catch (error) {
        failed(error);
      }
    };
    withSession(manager, request, response, handle, fail);
  };
  // The compatibility API of HTTP/2 has all that is used here.
  return handler as NodeHandler;
}

/** What a framework knows better than `node:http`. */
interface RequestFrame {
  /** Whether the request came over TLS. */
  isSecure?: () => boolean;
  ip?: () => string;
  /** Logs an error that no `onError` of the manager takes. */
  log?: (error: unknown) => void;
}

/**
 * Loads the session of a request, for `manager.sessionOf`, and holds the response back until it is committed: the sequence
 * that all adapters for Node share. When nothing has to be loaded, `handle` is called at once.
 *
 * What passes for a response may carry no session: the `{}` of an upgrade, that of a WebSocket server. The session can be
 * read then, and changes throw.
 *
 * @param fail - is told that the session could not be loaded, and what `handle` throws
 */
export function withSession<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: IncomingMessage,
  response: ServerResponse,
  handle: (held?: HeldResponse) => void,
  fail: (error: unknown) => void,
  frame: RequestFrame = {},
): void {
  // Wrapped twice with one manager: the outer one does the work.
  if (manager.has(request)) {
    handle();
    return;
  }
  const gate = new RequestGate(manager, request, frame);
  const start = (): Promise<void> | undefined => {
    if (canCarry(response) && !response.headersSent) {
      handle(holdResponse(response, request, gate));
      return undefined;
    }
    // Nothing can be told the client: what there is to do is done before the handler, and changes throw.
    const closing = manager.close(request, gate.context);
    if (closing instanceof Promise) return closing.then(() => handle());
    handle();
    return undefined;
  };
  const client = (): RequestClient => ({
    ip: addressOf(request, frame.ip, manager.options.trustProxy),
    userAgent: request.headers["user-agent"],
    speculative: isSpeculative(request.method, (name) => request.headers[name]),
    whenGone: whenClosed(response),
  });
  const opening = manager.open(request, request.headers, client);
  const started =
    opening === undefined
      ? start()
      : opening.then(start, (error: unknown) => {
          // Whoever answers, and whatever becomes of the headers until then: the answer depends on the session.
          if (canCarry(response) && !response.headersSent) holdResponse(response, request, new VaryGate(manager));
          throw error;
        });
  // What the next middleware throws is reported like what it throws at once.
  started?.catch(fail);
}

/** One request's session, as its response waits for it. */
class RequestGate<Data, Lazy extends boolean> implements ResponseGate {
  readonly #manager: SessionManager<Data, Lazy>;
  readonly #request: IncomingMessage;
  readonly #frame: RequestFrame;

  constructor(manager: SessionManager<Data, Lazy>, request: IncomingMessage, frame: RequestFrame) {
    this.#manager = manager;
    this.#request = request;
    this.#frame = frame;
  }

  get context(): CommitContext {
    return { tls: () => this.#isSecure(), seal: true };
  }

  commit(): HeadChange | Promise<HeadChange> {
    const result = this.#manager.close(this.#request, this.context);
    return result instanceof Promise ? result.then((later) => this.#change(later)) : this.#change(result);
  }

  committed(): HeadChange {
    return this.#change(this.#manager.committed(this.#request, this.context));
  }

  fail(error: unknown, response: ServerResponse): void {
    answerError(this.#manager.options.onError ?? this.#frame.log, error, this.#request, response);
  }

  #change(result: CommitResult): HeadChange {
    if (hasNothingToTell(result)) return undefined;
    if (result.kind === "set") {
      warnOfCookie(this.#manager.options, result, () => this.#isSecure(), this.#request.headers["x-forwarded-proto"]);
    }
    return (headers) => applyCommit(headers, result);
  }

  #isSecure(): boolean {
    const { isSecure = () => isEncrypted(this.#request) } = this.#frame;
    if (isSecure()) return true;
    return this.#manager.options.trustProxy && isForwardedSecure(this.#request.headers["x-forwarded-proto"]);
  }
}

/** A session that could not be loaded: there is nothing to commit. */
class VaryGate implements ResponseGate {
  readonly #vary: "Cookie" | "Authorization";

  constructor({ options }: { options: { tokenHeader?: string | undefined } }) {
    this.#vary = options.tokenHeader === undefined ? "Cookie" : "Authorization";
  }

  commit(): HeadChange {
    return (headers) => headers.set("Vary", withVary(headers.get("Vary") ?? undefined, this.#vary));
  }

  committed(): HeadChange {
    return undefined;
  }

  fail(): void {}
}

/** Express tells by its setting "trust proxy". */
function isEncrypted(request: IncomingMessage): boolean {
  const { secure } = request as { secure?: unknown };
  if (secure === true) return true;
  try {
    return (request.socket as { encrypted?: boolean } | null)?.encrypted === true;
  } catch {
    // Of a connection of HTTP/2 that has gone nothing can be asked. Nor does anybody get the answer.
    return false;
  }
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

/** Milliseconds that an `onError` that takes the response has to begin an answer, after it has returned. */
const MAX_ANSWER_DELAY = 1000;

/**
 * Lets `onError` answer, and answers with a plain 500 (of a RefusedError with its status) what it left open. One that takes the response, its third
 * parameter, may begin its answer a little later. Never throws.
 */
function answerError(
  onError: ((error: unknown, request: unknown, response: unknown) => unknown) | undefined = logError,
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { status, title } = error instanceof RefusedError ? error : INTERNAL;
  // A stream of the handler's may go on writing, or onError answer a second time: that must not end the process.
  response.on("error", () => {});
  if (!response.headersSent) {
    discardEntityHeaders(response);
    setStatus(response, status);
  }
  const close = (): void => {
    // Also when the client has gone: with its end the session is committed.
    if (response.headersSent) return;
    response.setHeader("Content-Type", "text/plain; charset=utf-8");
    response.end(`${title}\n`);
  };
  const settle = (): void => {
    if (response.headersSent) return;
    if (onError.length >= 3) setTimeout(close, MAX_ANSWER_DELAY).unref();
    else close();
  };
  let outcome: unknown;
  try {
    outcome = onError(error, request, response);
  } catch (second) {
    logError(second);
    close();
    return;
  }
  if (!isThenable(outcome)) settle();
  else {
    outcome.then(settle, (second: unknown) => {
      logError(second);
      close();
    });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

const logFailure = failureLog("the request failed");

function logError(error: unknown): void {
  // That one was refused, nothing has failed.
  if (error instanceof RefusedError) return;
  logFailure(error);
}
