import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2 from "node:http2";
import { describe, expect, it } from "vitest";
import { MemoryStore, SessionManager, type SessionOptions } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";
import { manage } from "../../src/session.ts";

const store = new MemoryStore({ cleanupInterval: 0 });

describe("the types of handlers", () => {
  it("are those that node:http and node:http2 take, one around the other too", () => {
    const manager = new SessionManager(store);
    const handlers = [
      nodeHandler(manager, (request, response) => void response.end(request.url)),
      nodeHandler(
        manager,
        nodeHandler(manager, () => {}),
      ),
      manage(store)((request, response) => void response.end(request.url)),
    ];
    for (const handler of handlers) {
      for (const server of [http.createServer(handler), http2.createServer(handler), http2.createServer({}, handler)]) {
        expect(server.listeners("request")).toEqual([handler]);
      }
    }
  });
});

describe("the type of onError", () => {
  it("lets an application use what it gets as it is, or as what its adapter gives", () => {
    const all: SessionOptions[] = [
      {
        onError: (error, request, response) => {
          response.statusCode = 503;
          response.setHeader("Retry-After", 1);
          response.end(`${String(error)} ${request.method} ${request.url}`);
        },
      },
      { onError: (_error, request: IncomingMessage, response: ServerResponse) => response.end(request.headers.host) },
      { onError: (_error, request: Request) => new Response(request.headers.get("host")) },
      { onError: undefined },
      {},
    ];
    for (const options of all) expect(new SessionManager(store, options).options.onError).toBe(options.onError);
  });
});
