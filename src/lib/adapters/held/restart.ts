import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { isEntityHeader } from "../../http/headers.ts";
import { HeadText, type Http1Response, isCaptured } from "./http1-output.ts";

/** The fields of a response that describe its connection. */
const CONNECTION = [
  "shouldKeepAlive",
  "useChunkedEncodingByDefault",
  "maxRequestsOnConnectionReached",
  "_defaultKeepAlive",
  "_keepAliveTimeout",
  "_maxRequestsPerSocket",
  "_expect_continue",
  "_sent100",
  "_onPendingData",
] as const;

/** Headers that Node itself adds to the new head, including HTTP/2's `:status`. */
const FRAMING = /^(?::.*|date|connection|keep-alive)$/i;

/**
 * Gives a second response the security policies of the first one and the properties that the framework has set.
 * Wrappers are left out, because they have begun to encode a body that is not sent.
 *
 * @param headers - the first response's
 */
export function inherit(
  answer: ServerResponse,
  response: ServerResponse,
  headers: [name: string, value: unknown][] = Object.entries(response.getHeaders()),
): void {
  const nodes = Object.getPrototypeOf(answer) as object;
  Object.setPrototypeOf(answer, Object.getPrototypeOf(response) as object);
  // As descriptors, because an accessor may throw.
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(response))) {
    const isFrameworks = !Object.hasOwn(answer, key) && !(key in nodes) && key !== "flush";
    if (descriptor.enumerable === true && isFrameworks) Object.defineProperty(answer, key, descriptor);
  }
  for (const [name, value] of headers) {
    if (!isEntityHeader(name) && !FRAMING.test(name)) answer.appendHeader(name, value as string);
  }
  // An error handler that answers twice must not end the process.
  answer.on("error", () => {});
}

/** Returns the class by which the server has made a response: Node's, or a subclass of it, whose private fields only its constructor makes. */
export function classOf<Class extends abstract new (...args: never[]) => object>(
  response: object,
  nodes: Class,
): Class {
  const { constructor: own } = response as { constructor: Class };
  return own?.prototype instanceof nodes ? own : nodes;
}

/** Creates a second response, which answers in place of one whose head is fixed but not sent. */
export function startOver(response: Http1Response): Http1Response {
  // Programs that capture responses construct them in their own ways.
  const nodes = isCaptured(response) ? ServerResponse : classOf(response, ServerResponse);
  const Response = nodes as unknown as new (request: IncomingMessage, options: object) => Http1Response;
  const answer = new Response(response.req, { highWaterMark: response.writableHighWaterMark });
  for (const name of CONNECTION) Object.assign(answer, { [name]: response[name as keyof Http1Response] });
  if (response._last) answer.shouldKeepAlive = false;
  inherit(answer, response, response._header ? HeadText.entries(response._header) : undefined);
  answer.once("close", () => {
    if (response._closed) return;
    Object.assign(response, { destroyed: true, _closed: true });
    response.emit("close");
  });
  return answer;
}

/** Finishes the first response after the second one has answered. It gets its socket back, because Node serves the next request on its "finish". */
export function finishWith(answer: ServerResponse, response: Http1Response, emit: ServerResponse["emit"]): void {
  const { socket, statusCode, statusMessage } = answer;
  const { _last, _header } = answer as Http1Response;
  // Loggers that observe the application's response see the answer that the client got.
  Object.assign(response, { statusCode, statusMessage, _last, _header: null });
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  for (const [name, value] of Object.entries(answer.getHeaders())) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response._header = _header;
  if (socket !== null) {
    answer.detachSocket(socket);
    response.assignSocket(socket);
  }
  emit.call(response, "finish");
  // Node's own listener fails on a second "finish", which comes if the application ends its response only now.
  response.removeAllListeners("finish");
  process.nextTick(() => {
    if ((answer as Http1Response)._closed) return;
    Object.assign(answer, { destroyed: true, _closed: true });
    answer.emit("close");
  });
}

/** Discards a write and calls its callback. */
export function discard(...args: unknown[]): true {
  const callback = args.at(-1);
  if (typeof callback === "function") process.nextTick(callback);
  return true;
}

/** A stand-in for a socket that discards everything. */
const VOID = {
  writable: true,
  writableLength: 0,
  writableCorked: 0,
  writableNeedDrain: false,
  cork() {},
  uncork() {},
  write: discard,
};

/** Creates the stand-in for a dead response's socket: it has the client's address and discards every write. */
export function standInFor(socket: Socket): Socket {
  const destroy = (error?: Error): Socket => socket.destroy(error);
  // `end` of the response uncorks the socket by this.
  const _writableState = Object.create((socket as { _writableState?: object })._writableState ?? null, {
    corked: { value: 0, writable: true },
  }) as unknown;
  const own = { ...VOID, destroy, end: VOID.write, _writableState };
  return Object.create(socket, Object.getOwnPropertyDescriptors(own)) as Socket;
}

/** Empties a dead response's queue. It calls the callbacks and emits "drain", so that no writer hangs. */
export function discardQueue(response: Http1Response): void {
  const { socket } = response;
  Object.assign(response, { socket: VOID });
  (ServerResponse.prototype as Http1Response)._flush.call(response);
  Object.assign(response, { socket });
}
