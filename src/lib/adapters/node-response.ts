import { type IncomingMessage, ServerResponse } from "node:http";
import { DeferredHold } from "./held/calls.ts";
import { Http1Hold } from "./held/http1.ts";
import { Http2Hold } from "./held/http2.ts";
import { isCaptured, type ResponseGate } from "./held/gates.ts";

/** A response that is held back. */
export interface HeldResponse {
  /** The response on which an error can be answered, as long as nothing has left: a head that is fixed is given up. */
  restart(): ServerResponse;
  /** Commits without an answer when the handler is done and its client goes before the first byte. */
  settle(): void;
}

/** Holds a response back until the sessions of all its gates are committed: the first bytes begin that. */
export function holdResponse(response: ServerResponse, request: IncomingMessage, gate: ResponseGate): HeldResponse {
  if (isHttp1(response)) return Http1Hold.hold(response, request, gate);
  return Http2Hold.hold(response, gate) ?? DeferredHold.hold(response, gate);
}

/** Says whether something passes for a response that can carry a session. Upgrades and WebSocket servers pass others. */
export function canCarry(response: Partial<ServerResponse> | null | undefined): response is ServerResponse {
  const { writeHead, write, end, getHeader, getHeaderNames, setHeader, removeHeader } = response ?? {};
  const methods = [writeHead, write, end, getHeader, getHeaderNames, setHeader, removeHeader];
  return methods.every((method) => typeof method === "function");
}

/** Says whether the bytes of a response come down to Node's own lower half. Bun and Deno have a node:http of their own. */
function isHttp1(response: ServerResponse): boolean {
  if (!(response instanceof ServerResponse) || "bun" in process.versions || "deno" in process.versions) return false;
  // A program that runs handlers without a network may take the output on its way down: Fastify's inject does.
  const { write, end } = Object.getPrototypeOf(response) as ServerResponse;
  const isPlain = write === ServerResponse.prototype.write && end === ServerResponse.prototype.end;
  return isPlain || !isCaptured(response);
}
