import { type IncomingMessage, ServerResponse } from "node:http";
import { DeferredHold } from "./held/calls.ts";
import { Http1Hold } from "./held/http1.ts";
import { Http2Hold } from "./held/http2.ts";
import { isCaptured, type ResponseGate } from "./held/gates.ts";

/** A response that is held until its sessions are committed. */
export interface HeldResponse {
  /** Returns the response on which an error can be answered. A head that is fixed but not sent is discarded. */
  restart(): ServerResponse;
  /** Commits without an answer when the client disconnects after the handler has finished and before the first byte. */
  settle(): void;
}

/** Holds a response until the sessions of all its gates are committed. The first bytes begin the commit. */
export function holdResponse(response: ServerResponse, request: IncomingMessage, gate: ResponseGate): HeldResponse {
  if (isHttp1(response)) return Http1Hold.hold(response, request, gate);
  return Http2Hold.hold(response, gate) ?? DeferredHold.hold(response, gate);
}

/** Says whether an object is a response that can carry a cookie. Upgrades and WebSocket servers pass objects that can't. */
export function canSetCookie(response: Partial<ServerResponse> | null | undefined): response is ServerResponse {
  const { writeHead, write, end, getHeader, getHeaderNames, setHeader, removeHeader } = response ?? {};
  const methods = [writeHead, write, end, getHeader, getHeaderNames, setHeader, removeHeader];
  return methods.every((method) => typeof method === "function");
}

/** Says whether a response sends its bytes by Node's own `_writeRaw`. Bun and Deno have a node:http of their own. */
function isHttp1(response: ServerResponse): boolean {
  if (!(response instanceof ServerResponse) || "bun" in process.versions || "deno" in process.versions) return false;
  // A program that runs handlers without a network may override write and end, as Fastify's inject does.
  const { write, end } = Object.getPrototypeOf(response) as ServerResponse;
  const isPlain = write === ServerResponse.prototype.write && end === ServerResponse.prototype.end;
  return isPlain || !isCaptured(response);
}
