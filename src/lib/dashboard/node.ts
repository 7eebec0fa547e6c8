import type { IncomingMessage, ServerResponse } from "node:http";
import { plainResponse } from "./responses.ts";

/** Properties that frameworks add to a request of node:http. */
interface FrameworkRequest extends IncomingMessage {
  originalUrl?: unknown;
  body?: unknown;
  secure?: unknown;
}

/** Answers a request of node:http by a handler of Requests. A failure is logged and closes the connection. */
export function serveNode(
  request: IncomingMessage,
  response: ServerResponse,
  handle: (request: Request) => Promise<Response>,
): void {
  const serve = async (): Promise<void> => {
    const asked = toRequest(request);
    const answer = asked === undefined ? plainResponse(400, "Bad Request\n") : await handle(asked);
    await send(response, answer, request.method === "HEAD");
  };
  serve().catch((error: unknown) => {
    console.error("pgstore: the dashboard failed:", error);
    response.destroy();
  });
}

/** Returns the path that the client sent, and the rest of it after a framework took off the path of a mount. */
export function pathsOf(request: IncomingMessage): [sent: string, rest: string] {
  const { originalUrl, url = "/" } = request as FrameworkRequest;
  const [rest] = split(url);
  return [typeof originalUrl === "string" ? split(originalUrl)[0] : rest, rest];
}

/** Turns a request of node:http into a Request. Undefined: a Request can't have this method, as TRACE, or one of the headers. */
export function toRequest(request: IncomingMessage): Request | undefined {
  const { method = "GET", headers: given, secure } = request as FrameworkRequest;
  const isEncrypted = secure === true || (request.socket as { encrypted?: boolean } | null)?.encrypted === true;
  const host = given.host ?? String(given[":authority"] ?? "");
  // The setters never throw: an invalid host is ignored, and a path "//evil.test" stays a path.
  const url = new URL(isEncrypted ? "https://localhost" : "http://localhost");
  url.host = host;
  url.pathname = pathsOf(request)[0];
  url.search = split(request.url ?? "/")[1];
  try {
    const headers = new Headers({ Host: host });
    for (const [name, value] of Object.entries(given)) {
      // node:http2 keeps pseudo-headers there.
      if (value !== undefined && !name.startsWith(":")) headers.set(name, [value].flat().join(", "));
    }
    if (method === "GET" || method === "HEAD") return new Request(url, { method, headers });
    return new Request(url, { method, headers, body: bodyOf(request), duplex: "half" });
  } catch {
    return undefined;
  }
}

/** Sends a Response. Cookies that the application set before are kept. */
async function send(response: ServerResponse, answer: Response, isHead: boolean): Promise<void> {
  const bytes = new Uint8Array(await answer.arrayBuffer());
  response.statusCode = answer.status;
  for (const [name, value] of answer.headers) {
    if (name === "set-cookie") response.appendHeader(name, value);
    else response.setHeader(name, value);
  }
  response.end(isHead ? undefined : bytes);
}

/** "/a?b=c" -> "/a", "b=c" */
function split(url: string): [path: string, query: string] {
  const at = url.indexOf("?");
  return at === -1 ? [url, ""] : [url.slice(0, at) || "/", url.slice(at + 1)];
}

/** Returns the fields or bytes that the framework has read, otherwise a stream that reads the bytes on demand. */
function bodyOf(request: IncomingMessage): NonNullable<RequestInit["body"]> {
  const { body } = request as FrameworkRequest;
  if (body instanceof URLSearchParams || body instanceof Uint8Array || typeof body === "string") return body;
  if (typeof body === "object" && body !== null && Object.keys(body).length > 0) {
    const fields = Object.entries(body).filter((field): field is [string, string] => typeof field[1] === "string");
    return new URLSearchParams(fields);
  }
  // Not Readable.toWeb: cancelling that closes the connection, which still has to carry the response.
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>;
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    if (request.readableEnded) throw new Error("the body was read before, and request.body holds no fields");
    const { done, value } = await chunks.next();
    if (done === true) controller.close();
    else controller.enqueue(value);
  };
  return new ReadableStream({ pull, cancel: async () => void (await chunks.return?.()) }, { highWaterMark: 0 });
}
