import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { askOfNode } from "../../src/lib/dashboard/node-host.ts";

const ask = (request: object, prefix = "") =>
  askOfNode({ headers: {}, ...request } as unknown as IncomingMessage, prefix) ?? expect.unreachable();

describe("a request of node:http", () => {
  it("may lack what Node's types let it lack", () => {
    expect(ask({})).toMatchObject({ method: "GET", path: "/", host: undefined, isSecure: false });
    expect(ask({ url: "?q=a", socket: null })).toMatchObject({ path: "/" });
    expect(ask({ url: "?q=a" }).query.get("q")).toBe("a");
  });

  it("may be one of HTTP/2, which names the host otherwise", () => {
    expect(ask({ headers: { ":authority": "admin.example" }, socket: { encrypted: true } })).toMatchObject({
      host: "admin.example",
      isSecure: true,
    });
    expect(ask({ headers: { cookie: ["a=1", "b=2"] } }).header("cookie")).toBe("a=1, b=2");
  });

  it("may have been parsed by a framework, in one of its ways", async () => {
    const fields = { csrf: "1", list: ["2"] };
    for (const body of [new URLSearchParams({ csrf: "1" }), "csrf=1", fields]) {
      expect(String(await ask({ body }).form())).toBe("csrf=1");
    }
    expect(await ask({ body: {}, readableEnded: true }).form()).toBe(undefined);
  });
});
