import type { IncomingMessage, ServerResponse } from "node:http";
import { type Answer, type Ask, below, lastSegment, readForm } from "./exchange.ts";

/** What frameworks add to a request. */
interface Framework {
  originalUrl?: unknown;
  body?: unknown;
  secure?: unknown;
}

/**
 * A request of node:http as ours, Express's and others' included: what they have mounted the dashboard at is off its URL
 * already. Undefined: it is not below the prefix.
 */
export function askOfNode(request: IncomingMessage, prefix: string): Ask | undefined {
  const { originalUrl, secure } = request as Framework;
  const stripped = request.url ?? "/";
  const full = typeof originalUrl === "string" ? originalUrl : stripped;
  const [fullPath] = split(full);
  const [strippedPath, query] = split(stripped);
  const path = prefix === "" ? strippedPath : below(fullPath, prefix);
  if (path === undefined) return undefined;
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return {
    method: request.method ?? "GET",
    path,
    bare: path === "/" ? lastSegment(fullPath) : undefined,
    query: new URLSearchParams(query),
    header,
    host: header("host") ?? header(":authority"),
    isSecure: secure === true || (request.socket as { encrypted?: boolean } | null)?.encrypted === true,
    form: () => formOf(request),
    request,
  };
}

/** Answers a request of node:http. */
export function sendToNode(response: ServerResponse, method: string, { status, headers, body }: Answer): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  const bytes = new TextEncoder().encode(body);
  if (status !== 304) response.setHeader("Content-Length", bytes.length);
  response.end(method === "HEAD" ? undefined : bytes);
}

/** Passes on a Response that `authorize` gave. */
export async function passToNode(response: ServerResponse, given: Response): Promise<void> {
  response.statusCode = given.status;
  for (const [name, value] of given.headers) if (name !== "set-cookie") response.setHeader(name, value);
  for (const cookie of given.headers.getSetCookie()) response.appendHeader("Set-Cookie", cookie);
  response.end(new Uint8Array(await given.arrayBuffer()));
}

/** "/a?b=c" -> "/a", "b=c" */
function split(url: string): [path: string, query: string] {
  const at = url.indexOf("?");
  return at === -1 ? [url, ""] : [url.slice(0, at) || "/", url.slice(at + 1)];
}

/** A framework may have parsed it already; one that has not leaves an empty object there, or nothing. */
async function formOf(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const { body } = request as Framework;
  if (body instanceof URLSearchParams) return body;
  if (typeof body === "string") return new URLSearchParams(body);
  if (typeof body === "object" && body !== null && Object.keys(body).length > 0) {
    const fields = Object.entries(body).filter((field): field is [string, string] => typeof field[1] === "string");
    return new URLSearchParams(fields);
  }
  if (request.readableEnded) return undefined;
  // Leaving early must not close the connection, which still has to carry the answer.
  return readForm(request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>);
}
