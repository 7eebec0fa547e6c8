import type http from "node:http";
import type net from "node:net";
import { once } from "node:events";

/** What every server offers: PUT begins a session, GET reads a key of it, INC reads, changes and writes it. */
export const ROUTES = { put: "/put", get: "/get", inc: "/inc" } as const;
export type Operation = "get" | "inc";

/** What PUT stores under `name`, of the client with that number: a row is some 200 bytes then. */
export function nameOf(client: string | number): string {
  return `client ${client} `.padEnd(100, "x");
}

/** The client's number in the target of PUT. */
export function clientOf(url: string): string {
  return url.slice(url.indexOf("?") + 1);
}

/** Answers with a text; with Content-Length for every server, so that none must send it in chunks. */
export function sendText(response: http.ServerResponse, text: string): void {
  response.setHeader("Content-Type", "text/plain");
  response.setHeader("Content-Length", Buffer.byteLength(text));
  response.end(text);
}

/** Starts to listen on loopback and returns the port. */
export async function listen(server: http.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}
