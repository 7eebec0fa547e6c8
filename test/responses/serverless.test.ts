import { once } from "node:events";
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { Readable, Writable } from "node:stream";
import { configure } from "@codegenie/serverless-express";
import compression from "compression";
import connectApp from "connect";
import express, { type Express } from "express";
import inject from "light-my-request";
import morgan from "morgan";
import responseTime from "response-time";
import { Server as SocketServer } from "socket.io";
import { io as connectSocket } from "socket.io-client";
import { describe, expect, it, onTestFinished } from "vitest";
import { SessionManager } from "../../src/index.ts";
import { connect, nodeHandler } from "../../src/node.ts";
import { leaveEventsAlone } from "../support/token-leaks.ts";
import { ask, onPort } from "./client.ts";
import { SlowStore } from "./slow-store.ts";

leaveEventsAlone();

type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;
interface Interception {
  isInterceptable(): boolean;
  intercept(body: string, send: (body: string) => void): void;
}
const interceptor = createRequire(import.meta.url)("express-interceptor") as (
  make: (request: IncomingMessage, response: ServerResponse) => Interception,
) => Middleware;

const FORM = "<form></form>".repeat(40);

/** An application of Express whose form stores something in the session; `wrappers` come before it. */
function application(store = new SlowStore(), ...wrappers: Middleware[]): { app: Express; store: SlowStore } {
  const manager = new SessionManager(store, { onError: () => {} });
  const app = express();
  app.set("env", "test");
  for (const wrapper of wrappers) app.use(wrapper);
  app.use(connect(manager));
  app.get("/plain", (_request, response) => response.send("<p>plain</p>"));
  app.get("/form", (request, response) => {
    request.session.set("csrf", "x");
    response.send(FORM);
  });
  app.get("/head", (request, response) => {
    request.session.set("csrf", "x");
    response.writeHead(201, { "Content-Type": "text/html" });
    response.write(FORM.slice(0, 10));
    response.end(FORM.slice(10));
  });
  return { app, store };
}

/** The parts of a response that a program in the same process looks at. */
interface Captured {
  text: string;
  headers: http.OutgoingHttpHeaders;
}

/**
 * Runs an application without a network: looks at `writableEnded` at each turn of the event loop, as a program does that
 * waits for the end, and takes at that moment what there is.
 */
async function capture(app: RequestListener, path: string, onWait?: () => void): Promise<Captured> {
  const request = Object.assign(new http.IncomingMessage(new Writable() as never), {
    method: "GET",
    url: path,
    headers: { host: "test" },
  });
  const response = new http.ServerResponse(request);
  let text = "";
  const socket = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  response.assignSocket(Object.assign(socket, { remoteAddress: "192.0.2.1" }) as never);
  app(request, response);
  for (let turns = 0; !response.writableEnded && turns < 1000; turns++) {
    if (turns === 20) onWait?.();
    await new Promise((resolve) => void setImmediate(resolve));
  }
  expect(response.writableEnded).toBe(true);
  return { text, headers: response.getHeaders() };
}

describe("a response without a network", () => {
  it.each([
    ["/form", 200],
    ["/head", 201],
  ])("%s says that it has ended when the cookie and the body are there", async (path, status) => {
    const { app, store } = application();
    void store.hold();
    const { text, headers } = await capture(app, path, () => store.letGo());
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(text).toMatch(/^set-cookie: session=/im);
    expect(text.replaceAll(/\r\n[\da-f]+\r\n/g, "")).toContain(FORM.slice(10));
    expect(String(headers["set-cookie"])).toMatch(/^session=/);
  });

  it("has ended at once when nothing is stored", async () => {
    const { app } = application();
    const { text, headers } = await capture(app, "/plain");
    expect(text).toMatch(/<p>plain<\/p>$/);
    expect(headers["set-cookie"]).toBeUndefined();
  });

  it("has ended with the error when the commit fails", async () => {
    const { app, store } = application();
    store.isDown = true;
    const { text } = await capture(app, "/form");
    expect(text).toMatch(/^HTTP\/1.1 500 /);
    expect(text).toMatch(/Internal Server Error\n$/);
    expect(text).not.toContain("<form>");
  });
});

/** Takes an answer as serverless-http does: once the handler has returned if `finished` is true by then, otherwise on "finish". */
async function takeFinished(app: RequestListener, method = "GET"): Promise<string> {
  const socket = Object.assign(new Writable(), { readable: true });
  const request = Object.assign(new http.IncomingMessage(socket as never), {
    method,
    url: "/form",
    headers: { host: "test", "content-length": method === "POST" ? "2" : "0" },
  });
  const response = new http.ServerResponse(request);
  let text = "";
  const nothing = (): void => {};
  const captured = {
    _writableState: {},
    writable: true,
    on: nothing,
    removeListener: nothing,
    destroy: nothing,
    cork: nothing,
    uncork: nothing,
    write(chunk: unknown, _encoding: unknown, done?: () => void) {
      text += String(chunk);
      done?.();
      return true;
    },
  };
  response.assignSocket(captured as never);
  app(request, response);
  await Promise.resolve();
  if (!response.finished) await once(response, "finish");
  return text;
}

describe("a program that asks `finished` when the handler has returned", () => {
  it.each(["GET", "POST"])("gets the cookie and the body: %s", async (method) => {
    const { app } = application();
    app.post("/form", (request, response) => {
      request.session.set("csrf", "x");
      response.send(FORM);
    });
    const text = await takeFinished(app, method);
    expect(text).toMatch(/^HTTP\/1.1 200 [^]*^set-cookie: session=/im);
    expect(text).toContain(FORM);
  });

  it("gets the error when the commit fails", async () => {
    const { app, store } = application();
    store.isDown = true;
    expect(await takeFinished(app)).toMatch(/^HTTP\/1.1 500 [^]*\r\n\r\nInternal Server Error\n$/);
  });
});

/** A stand-in for a response with methods of its own, as test tools make them. Express gives it the class ServerResponse. */
function standIn(): { response: ServerResponse; ended: Promise<{ status: number; text: string; cookies: unknown }> } {
  const headers = new Map<string, unknown>();
  let text = "";
  let end = (_answer: { status: number; text: string; cookies: unknown }): void => {};
  const ended = new Promise<{ status: number; text: string; cookies: unknown }>((resolve) => (end = resolve));
  const response = {
    statusCode: 200,
    headersSent: false,
    on: () => response,
    once: () => response,
    emit: () => true,
    setHeader: (name: string, value: unknown) => void headers.set(name.toLowerCase(), value),
    getHeader: (name: string) => headers.get(name.toLowerCase()),
    removeHeader: (name: string) => void headers.delete(name.toLowerCase()),
    getHeaderNames: () => [...headers.keys()],
    writeHead: (status: number) => ((response.statusCode = status), response),
    write: (chunk: Buffer | string) => ((text += chunk.toString()), true),
    end(chunk: Buffer | string = "") {
      text += chunk.toString();
      end({ status: response.statusCode, text, cookies: headers.get("set-cookie") });
      return response;
    },
  };
  return { response: response as unknown as ServerResponse, ended };
}

describe("a stand-in for a response in Express", () => {
  const get = (path: string): IncomingMessage =>
    Object.assign(new http.IncomingMessage(new Writable() as never), {
      method: "GET",
      url: path,
      headers: { host: "test" },
    });

  it("gets the cookie and the body", async () => {
    const { app } = application();
    const { response, ended } = standIn();
    app(get("/form"), response as never);
    const { status, text, cookies } = await ended;
    expect([status, text]).toEqual([200, FORM]);
    expect(String(cookies)).toMatch(/^session=/);
  });

  it("gets the error when the commit fails", async () => {
    const { app, store } = application();
    store.isDown = true;
    const { response, ended } = standIn();
    app(get("/form"), response as never);
    expect(await ended).toEqual({ status: 500, text: "Internal Server Error\n", cookies: undefined });
  });
});

describe("light-my-request", () => {
  // On Connect: it changes the prototype of Express's responses for good, those with a network included.
  function injectable(...wrappers: Middleware[]): { app: RequestListener; store: SlowStore } {
    const store = new SlowStore();
    const manager = new SessionManager(store, { onError: () => {} });
    const app = connectApp();
    for (const wrapper of wrappers) app.use(wrapper);
    app.use(connect(manager));
    app.use((request, response) => {
      manager.sessionOf(request).set("csrf", "x");
      if (request.url === "/form") response.end(FORM);
      else {
        response.writeHead(200, { "Content-Type": "text/html" });
        response.write(FORM.slice(0, 10));
        response.end(FORM.slice(10));
      }
    });
    return { app, store };
  }

  it.each(["/form", "/head"])("gets the cookie and the body of %s", async (path) => {
    const { app } = injectable();
    const answer = await inject(app, { method: "GET", url: path });
    expect(answer.body).toBe(FORM);
    expect(answer.cookies.map(({ name }) => name)).toEqual(["session"]);
  });

  it("gets the error when the commit fails", async () => {
    const { app, store } = injectable();
    store.isDown = true;
    const answer = await inject(app, { method: "GET", url: "/form" });
    expect([answer.statusCode, answer.body]).toEqual([500, "Internal Server Error\n"]);
    expect(answer.cookies).toEqual([]);
  });

  it("gets the error of a listener that throws after its head", async () => {
    const manager = new SessionManager(new SlowStore(), { onError: () => {} });
    const answer = await inject(
      nodeHandler(manager, (_request, response) => {
        response.writeHead(200, { "Content-Type": "text/html" });
        throw new Error("expected by the test");
      }),
      { method: "GET", url: "/" },
    );
    expect([answer.statusCode, answer.body]).toEqual([500, "Internal Server Error\n"]);
  });

  it("gets what compression makes of it", async () => {
    const { app } = injectable(compression({ threshold: 0 }) as unknown as Middleware);
    const headers = { "accept-encoding": "gzip" };
    const answer = await inject(app, { method: "GET", url: "/head", headers });
    expect(answer.headers["content-encoding"]).toBe("gzip");
    expect(answer.rawPayload.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
    expect(answer.cookies.map(({ name }) => name)).toEqual(["session"]);
  });
});

describe("@codegenie/serverless-express", () => {
  /** A request as the API gateway of a cloud hands it to a function. */
  const event = (path: string): object => ({
    version: "2.0",
    rawPath: path,
    rawQueryString: "",
    headers: { host: "test" },
    requestContext: { http: { method: "GET", path, sourceIp: "192.0.2.1" }, domainName: "test", stage: "$default" },
    isBase64Encoded: false,
  });
  const call = (app: Express, path: string): Promise<{ statusCode: number; body: string; cookies?: string[] }> =>
    (configure({ app }) as unknown as (event: object, context: object) => Promise<never>)(event(path), {});

  it.each(["/form", "/head"])("gets the cookie and the body of %s", async (path) => {
    const { app } = application();
    const answer = await call(app, path);
    expect(answer.body).toBe(FORM);
    expect(answer.cookies?.map((cookie) => cookie.split("=")[0])).toEqual(["session"]);
  });

  it.each([10, 300_000])(
    "gets a stream of %i bytes whose end comes before the commit's, or after it",
    async (length) => {
      for (const isHeld of [true, false]) {
        const { app, store } = application();
        app.get("/stream", (request, response) => {
          request.session.set("csrf", "x");
          const body = Readable.from(["x".repeat(length), "end"]);
          if (isHeld) void body.once("end", () => setImmediate(() => store.letGo()));
          body.pipe(response);
        });
        if (isHeld) void store.hold();
        const answer = await call(app, "/stream");
        expect(answer.body.length).toBe(length + 3);
        expect(answer.cookies?.map((cookie) => cookie.split("=")[0])).toEqual(["session"]);
      }
    },
  );

  it("gets the body of a request without a cookie, although the session comes before the body's parser", async () => {
    const { app } = application();
    app.use(express.json()).post("/", (request, response) => void response.json(request.body));
    const post = { ...event("/"), headers: { host: "test", "content-type": "application/json" }, body: '{"one":1}' };
    Object.assign(post, {
      requestContext: {
        ...(event("/") as { requestContext: object }).requestContext,
        http: { method: "POST", path: "/" },
      },
    });
    const answer = await (
      configure({ app }) as unknown as (event: object, context: object) => Promise<{ body: string }>
    )(post, {});
    expect(answer.body).toBe('{"one":1}');
  });

  it("gets the error when the commit fails", async () => {
    const { app, store } = application();
    store.isDown = true;
    const answer = await call(app, "/form");
    expect([answer.statusCode, answer.body]).toEqual([500, "Internal Server Error\n"]);
    expect(answer.cookies ?? []).toEqual([]);
  });
});

describe("what looks at a response from outside", () => {
  it.each([
    [false, 200, FORM],
    [true, 500, "Internal Server Error\n"],
  ])("morgan logs the status that was sent; the store is down: %s", async (isDown, status, text) => {
    let logged = (_line: string): void => {};
    const line = new Promise<string>((resolve) => (logged = resolve));
    const log = morgan(":method :status", { stream: { write: (written) => logged(written) } });
    const { app, store } = application(undefined, log);
    store.isDown = isDown;
    await onPort(app, async (port) => {
      expect((await ask(port, "/form")).text).toBe(text);
      expect(await line).toBe(`GET ${status}\n`);
    });
  });

  it.each([false, true])("response-time's header is there; the store is down: %s", async (isDown) => {
    const { app, store } = application(undefined, responseTime());
    store.isDown = isDown;
    await onPort(app, async (port) => {
      const { status, headers } = await ask(port, "/form");
      expect(status).toBe(isDown ? 500 : 200);
      expect(headers["x-response-time"]).toMatch(/^[\d.]+ms$/);
    });
  });

  it("express-interceptor changes the page", async () => {
    const change = interceptor(() => ({
      isInterceptable: () => true,
      intercept: (body, send) => send(body.replaceAll("form", "section")),
    }));
    const { app, store } = application(undefined, change);
    await onPort(app, async (port) => {
      const { text, headers } = await ask(port, "/form");
      expect(text).toBe(FORM.replaceAll("form", "section"));
      expect(headers["set-cookie"]).toHaveLength(1);
      store.isDown = true;
      const failed = await ask(port, "/form");
      expect([failed.status, failed.text]).toEqual([500, "Internal Server Error\n"]);
    });
  });
});

describe("socket.io with connect(manager)", () => {
  it.each([["websocket"], ["polling"]])("reads the session of the handshake by %s", async (transport) => {
    const manager = new SessionManager(new SlowStore());
    const session = await manager.load();
    session.set("user", "ada");
    const cookie = (await manager.commit(session)).setCookie?.split(";")[0] ?? "";
    const server = http.createServer();
    const io = new SocketServer(server);
    io.engine.use(connect(manager));
    io.on("connection", (socket) => socket.emit("who", String(manager.sessionOf(socket.request).get("user"))));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(async () => await io.close());
    const { port } = server.address() as AddressInfo;
    const client = connectSocket(`http://127.0.0.1:${port}`, {
      transports: [transport],
      reconnection: false,
      extraHeaders: { cookie },
    });
    onTestFinished(() => void client.close());
    const seen = await new Promise((resolve) => {
      client.on("who", resolve);
      client.on("connect_error", (error) => resolve(`refused: ${error.message}`));
    });
    expect(seen).toBe("ada");
  });
});
