import http, { type RequestListener, ServerResponse } from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { type NodeListener, nodeHandler } from "../../src/node.ts";
import { GatedStore } from "../support/gated-store.ts";

class OwnResponse extends ServerResponse {
  readonly #calls: string[] = [];

  override end(...args: unknown[]): this {
    this.#calls.push("end");
    return Reflect.apply(super.end, this, args) as this;
  }
}

class OwnResponse2 extends http2.Http2ServerResponse {
  readonly #calls: string[] = [];

  override end(...args: unknown[]): this {
    this.#calls.push("end");
    return Reflect.apply(super.end, this, args) as this;
  }
}

function app(listener: NodeListener = (_request, response) => response.end("body")) {
  const store = new GatedStore();
  const manager = new SessionManager(store, { onError: () => {} });
  const handler = nodeHandler(manager, (request, response) => {
    manager.sessionOf(request).set("key", "value");
    return listener(request, response);
  });
  return { store, handler };
}

/** Serves the listener and asks it once. */
async function answerOf(listener: RequestListener, options: http.ServerOptions = {}) {
  const server = http.createServer(options, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return [response.status, await response.text(), response.headers.getSetCookie().length];
}

const FAILED = [500, "Internal Server Error\n", 0];

describe("a response of a class of the application's, with private fields", () => {
  it.each([
    [false, [200, "body", 1]],
    [true, FAILED],
  ])("is answered over HTTP/1; the commit fails: %s", async (fails, expected) => {
    const { store, handler } = app();
    if (fails) store.failure = new StoreUnavailableError("expected by the test");
    expect(await answerOf(handler, { ServerResponse: OwnResponse as never })).toEqual(expected);
  });

  it("is answered over HTTP/2 when the commit fails", async () => {
    const { store, handler } = app();
    store.failure = new StoreUnavailableError("expected by the test");
    const server = http2.createServer({ Http2ServerResponse: OwnResponse2 as never }, handler);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    onTestFinished(() => client.destroy());
    const stream = client.request({ ":path": "/" });
    const status = await new Promise((resolve, reject) => {
      stream.on("response", (headers) => resolve(headers[":status"])).on("error", reject);
    });
    expect(status).toBe(500);
    expect(await stream.setEncoding("utf8").toArray()).toEqual(["Internal Server Error\n"]);
  });
});

describe("a response with an accessor that throws", () => {
  const add = (response: object): void => {
    Object.defineProperty(response, "late", {
      enumerable: true,
      get: () => {
        throw new Error("too early");
      },
    });
  };

  it("is an error when the commit fails", async () => {
    const { store, handler } = app((_request, response) => {
      add(response);
      response.end("body");
    });
    store.failure = new StoreUnavailableError("expected by the test");
    expect(await answerOf(handler)).toEqual(FAILED);
  });

  it("is an error when the handler throws after its head", async () => {
    const { handler } = app((_request, response) => {
      add(response);
      response.writeHead(200);
      throw new Error("expected by the test");
    });
    expect(await answerOf(handler)).toEqual([500, "Internal Server Error\n", 1]);
  });
});

describe("a proxy of a response", () => {
  const kinds: Record<string, ProxyHandler<ServerResponse>> = {
    plain: {},
    "with bound methods": {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    },
  };

  it.each(Object.entries(kinds))("is held, and replaced when the commit fails: %s", async (_title, traps) => {
    const { store, handler } = app();
    const proxied: RequestListener = (request, response) => handler(request, new Proxy(response, traps));
    expect(await answerOf(proxied)).toEqual([200, "body", 1]);
    store.failure = new StoreUnavailableError("expected by the test");
    expect(await answerOf(proxied)).toEqual(FAILED);
  });
});

describe("a response around which two copies of pgstore work", () => {
  async function twoCopies() {
    vi.resetModules();
    const copy = { ...(await import("../../src/index.ts")), ...(await import("../../src/node.ts")) };
    const [outerStore, innerStore] = [new GatedStore(), new GatedStore()];
    const outer = new SessionManager(outerStore, { cookie: { name: "outer" }, onError: () => {} });
    const inner = new copy.SessionManager(innerStore, { cookie: { name: "inner" }, onError: () => {} });
    const within = copy.nodeHandler(inner, (request, response) => {
      inner.sessionOf(request).set("key", 1);
      response.write("bo");
      response.end("dy");
    });
    const handler = nodeHandler(outer, (request, response) => {
      outer.sessionOf(request).set("key", 1);
      within(request, response);
    });
    return { outerStore, innerStore, handler };
  }

  it("carries the cookies of both, or the error of the one that can't store", async () => {
    const { outerStore, innerStore, handler } = await twoCopies();
    expect(await answerOf(handler)).toEqual([200, "body", 2]);
    for (const store of [outerStore, innerStore]) {
      store.failure = new StoreUnavailableError("expected by the test");
      expect((await answerOf(handler)).slice(0, 2)).toEqual([500, "Internal Server Error\n"]);
      store.failure = undefined;
    }
  });

  it("carries the cookies of both over HTTP/2", async () => {
    const { handler } = await twoCopies();
    const server = http2.createServer(handler);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    onTestFinished(() => client.destroy());
    const stream = client.request({ ":path": "/" });
    const cookies = await new Promise<string[]>((resolve, reject) => {
      stream.on("response", (headers) => resolve(headers["set-cookie"] ?? [])).on("error", reject);
    });
    expect(cookies.map((cookie) => cookie.replace(/=.*/, ""))).toEqual(["inner", "outer"]);
    expect((await stream.setEncoding("utf8").toArray()).join("")).toBe("body");
  });
});
