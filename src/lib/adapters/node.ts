import { type IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { CommitContext, CommitResult } from "../manager/commit-result.ts";
import { addVary } from "../http/headers.ts";
import type { SessionData } from "../session/session-data.ts";
import type { AfterOpen, SessionManager } from "../manager/session-manager.ts";
import type { RequestClient, WhenGone } from "../session/request.ts";
import { DeferredHold } from "./held/calls.ts";
import { type HeadChange, type ResponseGate, settled } from "./held/gates.ts";
import { Http1Hold } from "./held/http1.ts";
import { Http2Hold } from "./held/http2.ts";
import { isCaptured } from "./held/http1-output.ts";
import type { Migration } from "./migration.ts";
import { answerError, type ErrorHook } from "./node-error.ts";
import { forwardedFor, isForwardedSecure, isSpeculative, warnOfCookie, whenClosed } from "./request.ts";

/** A request listener of `node:http`, which may be asynchronous. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A request listener for `node:http`, `node:https` and `node:http2`. */
export interface NodeHandler {
  (request: IncomingMessage, response: ServerResponse): void;
  (request: Http2ServerRequest, response: Http2ServerResponse): void;
}

/**
 * Wraps a listener of `node:http` so that each request has a session, which is committed before the first byte of the response.
 *
 * An error that the listener throws or rejects with goes to the manager's `onError`, whose default answers with a plain 500. The session is
 * committed in that case as well.
 *
 * @param listener - reads the session by `manager.sessionOf(request)`
 * @returns a listener for `http.createServer`
 * @example
 * http.createServer(nodeHandler(manager, (request, response) => {
 *   const session = manager.sessionOf(request);
 *   response.end(session.get("message"));
 * }));
 */
export function nodeHandler<Data = SessionData, Lazy extends boolean = false>(
  manager: SessionManager<Data, Lazy>,
  listener: NodeListener,
): NodeHandler {
  const framework = frameworkOf(manager.options.onError, listener);
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    withSession(manager, request, response, framework);
  };
  // HTTP/2's compatibility API has every member that is used here.
  return handler as NodeHandler;
}

/** A response that is held until its sessions are committed. */
export interface HeldResponse {
  /** Returns the response on which an error can be answered. A head that is fixed but not sent is discarded. */
  restart(): ServerResponse;
  /** Commits without an answer when the client disconnects after the handler has finished and before the first byte. */
  settle(): void;
}

/**
 * The framework of a request: it continues after the load of the session, and may know more of the request than `node:http`. One object may
 * serve every request.
 */
export interface Framework {
  handle(held: HeldResponse | undefined, request: IncomingMessage, response: ServerResponse): void;
  /** Answers a request whose session could not be loaded. Also called with an error that `handle` throws after a load. */
  fail(error: unknown, request: IncomingMessage, response: ServerResponse): void;
  /**
   * Continues another package's session in the request's new one. Returns undefined when the request has none to
   * continue.
   */
  migrate?: Migration | undefined;
  /** Says whether the request came over TLS. Default: as `node:http` tells. */
  isSecure?: () => boolean;
  /** Returns the client's address. Default: the connection's. */
  ip?: () => string;
  /** Logs an error when the manager has no `onError`. */
  log?: (error: unknown) => void;
}

/** Makes a framework of a listener of `node:http`. */
function frameworkOf(onError: ErrorHook | undefined, listener: NodeListener): Framework {
  const fail: Framework["fail"] = (error, request, response) => answerError(onError, error, request, response);
  const listenerFailed = (
    error: unknown,
    held: HeldResponse | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): void => {
    const answer = response.headersSent && held !== undefined ? held.restart() : response;
    // Part of the answer was sent. Cut the connection, so that the client doesn't take it for complete.
    if (held !== undefined && answer.headersSent && !answer.finished) answer.destroy();
    fail(error, request, answer);
  };
  return {
    handle(held, request, response) {
      try {
        const outcome = listener(request, response);
        if (!isThenable(outcome)) held?.settle();
        else
          outcome.then(
            () => held?.settle(),
            (error: unknown) => listenerFailed(error, held, request, response),
          );
      } catch (error) {
        listenerFailed(error, held, request, response);
      }
    },
    fail,
  };
}

/** Says whether a value is a promise or promise-like. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/**
 * Loads the session of a request and holds the response until it is committed. All adapters for Node use it.
 *
 * `handle` is called synchronously when nothing must be loaded. A response that can't carry a cookie, such as the `{}` of an upgrade, makes
 * the session read-only: changes throw.
 */
export function withSession<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: IncomingMessage,
  response: ServerResponse,
  framework: Framework,
): void {
  // The same manager has wrapped the request further out, and does the work there.
  if (manager.has(request)) framework.handle(undefined, request, response);
  else new NodeRequest(manager, request, response, framework).load();
}

/** One request from its session's load to its commit. It is the gate of its response and the context of its commit, and describes its client. */
class NodeRequest<Data, Lazy extends boolean> implements ResponseGate, CommitContext, RequestClient, AfterOpen {
  readonly seal = true;
  readonly #manager: SessionManager<Data, Lazy>;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #framework: Framework;
  /** Whether the session is being opened synchronously. */
  #isOpening = true;

  /** Prepares a request. `load` begins it. */
  constructor(
    manager: SessionManager<Data, Lazy>,
    request: IncomingMessage,
    response: ServerResponse,
    framework: Framework,
  ) {
    this.#manager = manager;
    this.#request = request;
    this.#response = response;
    this.#framework = framework;
  }

  /** Loads the session, then continues the request. */
  load(): void {
    void this.#manager.open(this.#request, this.#request.headers, this, this);
    this.#isOpening = false;
  }

  /** Continues the session of another package if the request has one, and starts the handler. */
  opened(): void {
    const migrate = this.#framework.migrate?.(this.#request);
    if (migrate !== undefined) void this.#migrate(migrate);
    else if (!this.#isOpening) this.#startLater();
    else if (mayBeTaken(this.#response)) this.#startAfterTurn();
    else this.#start();
  }

  failed(error: unknown): void {
    const response = this.#response;
    // The error's answer depends on the session as well, even if another handler sends it or clears the headers.
    if (canSetCookie(response) && !response.headersSent) {
      holdResponse(response, settled(VARY[this.#manager.options.vary]));
    }
    this.#fail(error);
  }

  async #migrate(migrate: (session: object) => Promise<void>): Promise<void> {
    try {
      await migrate(await this.#manager.sessionOf(this.#request));
    } catch (error) {
      this.failed(error);
      return;
    }
    this.#startLater();
  }

  /** Starts the handler after a load. An error that the next middleware throws is then reported like a failed load. */
  #startLater(): void {
    try {
      this.#start();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Starts the handler after this turn of the event loop. serverless-express marks the unread body as read by then, so the mark is undone. */
  #startAfterTurn(): void {
    const { readable } = this.#request;
    setImmediate(() => {
      Reflect.set(this.#request, "readable", readable);
      this.#startLater();
    });
  }

  #start(): void {
    const response = this.#response;
    if (canSetCookie(response) && !response.headersSent) {
      this.#continue(holdResponse(response, this));
      return;
    }
    // No cookie can be sent. Commit before the handler runs, so that changes throw.
    const closing = this.#manager.close(this.#request, this);
    if (!(closing instanceof Promise)) this.#continue(undefined);
    else closing.then(() => this.#continue(undefined)).catch((error: unknown) => this.#fail(error));
  }

  #continue(held: HeldResponse | undefined): void {
    this.#framework.handle(held, this.#request, this.#response);
  }

  #fail(error: unknown): void {
    this.#framework.fail(error, this.#request, this.#response);
  }

  /** The client's address. A framework that trusts a proxy knows it: Express has it as `request.ip`. */
  get ip(): string | undefined {
    const request = this.#request;
    const connection = request.socket?.remoteAddress;
    const told: unknown = this.#framework.ip?.() ?? (request as { ip?: unknown }).ip;
    if (typeof told === "string" && told !== connection) return told;
    const { trustProxy } = this.#manager.options;
    return (trustProxy ? forwardedFor(request.headers["x-forwarded-for"]) : undefined) ?? connection;
  }

  get userAgent(): string | undefined {
    return this.#request.headers["user-agent"];
  }

  get speculative(): boolean {
    return isSpeculative(this.#request.method, (name) => this.#request.headers[name]);
  }

  get whenGone(): WhenGone | undefined {
    return whenClosed(this.#response);
  }

  commit(): HeadChange | undefined | Promise<HeadChange | undefined> {
    try {
      const result = this.#manager.close(this.#request, this);
      return result instanceof Promise ? result.then((later) => this.#change(later)) : this.#change(result);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  committed(): HeadChange | undefined {
    return changeOf(this.#manager.committed(this.#request, this));
  }

  fail(error: unknown, response: ServerResponse): void {
    answerError(this.#manager.options.onError ?? this.#framework.log, error, this.#request, response);
  }

  /** Says whether the request came over TLS. */
  tls(): boolean {
    const { isSecure } = this.#framework;
    if (isSecure === undefined ? isEncrypted(this.#request) : isSecure()) return true;
    return this.#manager.options.trustProxy && isForwardedSecure(this.#request.headers["x-forwarded-proto"]);
  }

  #change(result: CommitResult): HeadChange | undefined {
    if (result.kind !== "nothing") {
      warnOfCookie(this.#manager.options, result, this, this.#request.headers["x-forwarded-proto"]);
    }
    return changeOf(result);
  }
}

function changeOf(result: CommitResult): HeadChange | undefined {
  return result.kind === "nothing" ? result.vary && VARY[result.vary] : result;
}

/** The changes of heads that only add to Vary. */
const VARY: Record<CommitResult["vary"] & string, HeadChange> = {
  Cookie: { applyTo: (headers) => addVary(headers, "Cookie") },
  Authorization: { applyTo: (headers) => addVary(headers, "Authorization") },
};

/** Says whether the request came over TLS. Express's `request.secure` follows its setting "trust proxy". */
function isEncrypted(request: IncomingMessage): boolean {
  const { secure } = request as { secure?: unknown };
  if (secure === true) return true;
  try {
    return (request.socket as { encrypted?: boolean } | null)?.encrypted === true;
  } catch {
    // The socket of a closed HTTP/2 connection throws. No client gets this answer.
    return false;
  }
}

/** Holds a response until the sessions of all its gates are committed. The first bytes begin the commit. */
export function holdResponse(response: ServerResponse, gate: ResponseGate): HeldResponse {
  const held = isHttp1(response) ? Http1Hold.hold(response, gate) : Http2Hold.hold(response, gate);
  return held ?? DeferredHold.hold(response, gate);
}

/**
 * Says whether a program in this process may take the output as soon as the handler has returned. serverless-http does if `finished` is
 * true by then, also of a held response.
 */
function mayBeTaken(response: ServerResponse): boolean {
  return isHttp1(response) && isCaptured(response);
}

/** Says whether an object is a response that can carry a cookie. Upgrades and WebSocket servers pass objects that can't. */
function canSetCookie(response: Partial<ServerResponse> | null | undefined): response is ServerResponse {
  if (response instanceof ServerResponse) return true;
  const { writeHead, write, end, getHeader, getHeaderNames, setHeader, removeHeader } = response ?? {};
  const methods = [writeHead, write, end, getHeader, getHeaderNames, setHeader, removeHeader];
  return methods.every((method) => typeof method === "function");
}

/** Bun and Deno have a node:http of their own. */
const IS_NODE = !("bun" in process.versions || "deno" in process.versions);

/** Says whether a response sends its bytes by Node's own `_writeRaw`. */
function isHttp1(response: ServerResponse): boolean {
  // Express gives its class, a ServerResponse, to any object. Only Node's constructor makes a queue.
  const { outputData } = response as { outputData?: unknown };
  if (!IS_NODE || !(response instanceof ServerResponse) || !Array.isArray(outputData)) return false;
  // A program that runs handlers without a network may override write and end, as Fastify's inject does.
  const { write, end } = Object.getPrototypeOf(response) as ServerResponse;
  const isPlain = write === ServerResponse.prototype.write && end === ServerResponse.prototype.end;
  return isPlain || !isCaptured(response);
}
