import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { withVary } from "../http/headers.ts";
import type { CommitContext, CommitResult } from "../manager/commit-result.ts";
import type { SessionData } from "../session/session-data.ts";
import type { RequestClient } from "../manager/request.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { WhenGone } from "../session/request-facts.ts";
import type { HeadChange, ResponseGate } from "./held/gates.ts";
import { answerError, type ErrorHook, isThenable } from "./node-error.ts";
import { canSetCookie, type HeldResponse, holdResponse } from "./node-response.ts";
import { forwardedFor, isForwardedSecure, isSpeculative, warnOfCookie, whenClosed } from "./request.ts";
import { applyCommit, changesNothing } from "./response-headers.ts";

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
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    withSession(manager, request, response, new ListenerCall(manager.options.onError, listener, request, response));
  };
  // HTTP/2's compatibility API has every member that is used here.
  return handler as NodeHandler;
}

/** Continues a request after its session was loaded or could not be loaded. */
export interface Continuation {
  handle(held?: HeldResponse): void;
  /** Answers a request whose session could not be loaded. Also called with an error that `handle` throws after a load. */
  fail(error: unknown): void;
}

/** One call of a listener of `node:http`. */
class ListenerCall implements Continuation {
  readonly #onError: ErrorHook | undefined;
  readonly #listener: NodeListener;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  /** Prepares a call of the listener. */
  constructor(
    onError: ErrorHook | undefined,
    listener: NodeListener,
    request: IncomingMessage,
    response: ServerResponse,
  ) {
    this.#onError = onError;
    this.#listener = listener;
    this.#request = request;
    this.#response = response;
  }

  handle(held?: HeldResponse): void {
    try {
      const outcome = this.#listener(this.#request, this.#response);
      if (!isThenable(outcome)) held?.settle();
      else
        outcome.then(
          () => held?.settle(),
          (error: unknown) => this.#failed(error, held),
        );
    } catch (error) {
      this.#failed(error, held);
    }
  }

  fail(error: unknown): void {
    answerError(this.#onError, error, this.#request, this.#response);
  }

  #failed(error: unknown, held: HeldResponse | undefined): void {
    const response = this.#response;
    if (response.headersSent && held !== undefined) {
      const answer = held.restart();
      if (answer !== response) {
        answerError(this.#onError, error, this.#request, answer);
        return;
      }
      // Part of the answer was sent. Cut the connection, so that the client doesn't take it for complete.
      if (!response.finished) response.destroy();
    }
    this.fail(error);
  }
}

/** Facts about a request that a framework knows better than `node:http`. */
interface RequestFrame {
  /** Says whether the request came over TLS. */
  isSecure?: () => boolean;
  ip?: () => string;
  /** Logs an error when the manager has no `onError`. */
  log?: (error: unknown) => void;
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
  continuation: Continuation,
  frame: RequestFrame = NO_FRAME,
): void {
  // The same manager has wrapped the request further out, and does the work there.
  if (manager.has(request)) continuation.handle();
  else new NodeRequest(manager, request, response, continuation, frame).load();
}

const NO_FRAME: RequestFrame = {};

/** One request from its session's load to its commit. It is the gate of its response and the context of its commit, and describes its client. */
class NodeRequest<Data, Lazy extends boolean> implements ResponseGate, CommitContext, RequestClient {
  readonly seal = true;
  readonly #manager: SessionManager<Data, Lazy>;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #continuation: Continuation;
  readonly #frame: RequestFrame;

  /** Prepares a request. `load` begins it. */
  constructor(
    manager: SessionManager<Data, Lazy>,
    request: IncomingMessage,
    response: ServerResponse,
    continuation: Continuation,
    frame: RequestFrame,
  ) {
    this.#manager = manager;
    this.#request = request;
    this.#response = response;
    this.#continuation = continuation;
    this.#frame = frame;
  }

  /** Loads the session, then continues the request. */
  load(): void {
    const opening = this.#manager.open(this.#request, this.#request.headers, this);
    if (opening === undefined) this.#start();
    else
      opening.then(
        () => this.#startLater(),
        (error: unknown) => this.#failToLoad(error),
      );
  }

  #start(): void {
    const response = this.#response;
    if (canSetCookie(response) && !response.headersSent) {
      this.#continuation.handle(holdResponse(response, this.#request, this));
      return;
    }
    // No cookie can be sent. Commit before the handler runs, so that changes throw.
    const closing = this.#manager.close(this.#request, this);
    if (!(closing instanceof Promise)) this.#continuation.handle();
    else closing.then(() => this.#continuation.handle()).catch((error: unknown) => this.#continuation.fail(error));
  }

  /** Starts after a load. An error that the next middleware throws is then reported like a failed load. */
  #startLater(): void {
    try {
      this.#start();
    } catch (error) {
      this.#continuation.fail(error);
    }
  }

  #failToLoad(error: unknown): void {
    const response = this.#response;
    // The error's answer depends on the session as well, whoever sends it and whatever clears the headers meanwhile.
    if (canSetCookie(response) && !response.headersSent)
      holdResponse(response, this.#request, new VaryGate(this.#manager));
    this.#continuation.fail(error);
  }

  get ip(): string | undefined {
    return addressOf(this.#request, this.#frame.ip, this.#manager.options.trustProxy);
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

  commit(): HeadChange | Promise<HeadChange> {
    const result = this.#manager.close(this.#request, this);
    return result instanceof Promise ? result.then((later) => this.#change(later)) : this.#change(result);
  }

  committed(): HeadChange {
    return this.#change(this.#manager.committed(this.#request, this));
  }

  fail(error: unknown, response: ServerResponse): void {
    answerError(this.#manager.options.onError ?? this.#frame.log, error, this.#request, response);
  }

  /** Says whether the request came over TLS. */
  tls(): boolean {
    const { isSecure } = this.#frame;
    if (isSecure === undefined ? isEncrypted(this.#request) : isSecure()) return true;
    return this.#manager.options.trustProxy && isForwardedSecure(this.#request.headers["x-forwarded-proto"]);
  }

  #change(result: CommitResult): HeadChange {
    if (changesNothing(result)) return undefined;
    if (result.kind === "set") {
      warnOfCookie(this.#manager.options, result, () => this.tls(), this.#request.headers["x-forwarded-proto"]);
    }
    return (headers) => applyCommit(headers, result);
  }
}

/** Adds Vary to the answer of a request whose session could not be loaded. It commits nothing. */
class VaryGate implements ResponseGate {
  readonly #vary: "Cookie" | "Authorization";

  /** Creates the gate of a manager that could not load a session. */
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

/** Returns the client's address. A framework that trusts a proxy knows it: Express has it as `request.ip`. */
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
