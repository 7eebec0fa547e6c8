import http, { type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { pathsOf, serveNode, toRequest } from "../../src/lib/dashboard/node.ts";
import { serving } from "../support/serve.ts";

const asNode = (request: object): IncomingMessage => ({ headers: {}, ...request }) as unknown as IncomingMessage;
const requestOf = (request: object): Request => toRequest(asNode(request)) ?? expect.unreachable();

describe("toRequest", () => {
  it("takes a request that lacks what Node's types let it lack", () => {
    const { method, url, headers } = requestOf({});
    expect([method, url, headers.get("host")]).toEqual(["GET", "http://localhost/", ""]);
    expect(requestOf({ url: "?q=a", socket: null }).url).toBe("http://localhost/?q=a");
  });

  it("takes one of HTTP/2, which names the host otherwise", () => {
    const { url, headers } = requestOf({
      headers: { ":authority": "admin.example", ":path": "/", cookie: ["a=1", "b=2"] },
      socket: { encrypted: true },
    });
    expect([url, ...headers]).toEqual(["https://admin.example/", ["cookie", "a=1, b=2"], ["host", "admin.example"]]);
  });

  it("keeps the path and the host apart, whatever they are", () => {
    for (const url of ["//evil.test/x", "/\\evil.test", "*", "http://evil.test/", ":1", "/a b"]) {
      expect(new URL(requestOf({ url, headers: { host: "app.test" } }).url).host, url).toBe("app.test");
    }
    for (const host of ["", "a@b", "[", "a b", "#"]) {
      const { url, headers } = requestOf({ url: "/users?q=a", headers: { host } });
      expect([new URL(url).pathname, new URL(url).search, headers.get("host")], host).toEqual(["/users", "?q=a", host]);
    }
  });

  it("takes the fields that a framework has parsed, in one of its ways", async () => {
    const fields = { csrf: "1", list: ["2"] };
    for (const body of [new URLSearchParams({ csrf: "1" }), "csrf=1", Buffer.from("csrf=1"), fields]) {
      expect(await requestOf({ method: "POST", body }).text()).toBe("csrf=1");
    }
  });

  it("fails to read a body that was read before and has left no fields", async () => {
    await expect(
      requestOf({ method: "POST", body: {}, readableEnded: true, iterator: () => {} }).text(),
    ).rejects.toThrow();
  });

  it("reads nothing of a body that nobody asks for, and leaves the connection open where reading stops early", async () => {
    const body = Object.assign(Readable.from([new Uint8Array(8), new Uint8Array(8)]), { method: "POST", headers: {} });
    const reader = toRequest(body as unknown as IncomingMessage)?.body?.getReader();
    await new Promise(setImmediate);
    expect(body.readableDidRead).toBe(false);
    expect((await reader?.read())?.value).toHaveLength(8);
    await reader?.cancel();
    expect(body.destroyed).toBe(false);
  });
});

describe("pathsOf", () => {
  it("tells the path that was sent from the rest that a framework has left of it", () => {
    expect(pathsOf(asNode({ originalUrl: "/admin?q=a", url: "/?q=a" }))).toEqual(["/admin", "/"]);
    expect(pathsOf(asNode({ url: "/admin?q=a" }))).toEqual(["/admin", "/admin"]);
    expect(pathsOf(asNode({}))).toEqual(["/", "/"]);
  });
});

describe("serveNode", () => {
  it("answers with 400 what is no Request", async () => {
    const server = (request: IncomingMessage, response: http.ServerResponse): void =>
      serveNode(request, response, () => expect.unreachable());
    await serving(server, async ({ url }) => {
      const status = await new Promise((resolve) => {
        http.request(url, { method: "TRACE" }, (response) => resolve(response.resume().statusCode)).end();
      });
      expect(status).toBe(400);
    });
  });

  it("keeps the cookies that the application has set", async () => {
    const answer = async (): Promise<Response> => new Response("page", { headers: { "Set-Cookie": "b=2" } });
    await serving(
      (request, response) => serveNode(request, response.setHeader("Set-Cookie", "a=1"), answer),
      async ({ get }) => {
        const response = await get("/");
        expect([response.headers.getSetCookie(), await response.text()]).toEqual([["a=1", "b=2"], "page"]);
      },
    );
  });
});
