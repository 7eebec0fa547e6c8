import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../src/index.ts";
import { idOf } from "../../src/lib/core/token.ts";
import * as scs from "../../src/scs.ts";
import type { ManageOptions } from "../../src/scs.ts";
import * as alias from "../../src/session.ts";
import { serve } from "../support/serve.ts";

const clock = { now: 1_800_000_000_000 };
const engine = new MemoryStore({ cleanupInterval: 0, now: () => clock.now });

type Route = (request: IncomingMessage, response: ServerResponse) => unknown;
const routes: Record<string, Route> = {
  "/PutString": (request, response) => {
    scs.putString(request, "test_string", "lorem ipsum");
    response.end("OK");
  },
  "/GetString": (request, response) => response.end(scs.getString(request, "test_string")),
  "/Destroy": async (request, response) => {
    await scs.destroy(request);
    response.end("OK");
  },
  "/RegenerateToken": async (request, response) => {
    await scs.regenerateToken(request);
    response.end("OK");
  },
  "/Renew": async (request, response) => {
    await scs.renew(request);
    response.end("OK");
  },
  "/Save": async (request, response) => {
    scs.putString(request, "test_string", "lorem ipsum");
    await scs.save(request);
    expect(() => scs.putString(request, "late", "x")).toThrow(scs.AlreadyCommittedError);
    await expect(scs.save(request)).rejects.toThrow(scs.AlreadyCommittedError);
    response.end("OK");
  },
  "/Flush": async (request, response) => {
    scs.putString(request, "test_string", "lorem ipsum");
    await scs.save(request);
    response.write("This is some…");
    response.flushHeaders();
    response.end("flushed data");
  },
  "/WriteHeader": (_request, response) => response.writeHead(418).end("I'm a teapot"),
  "/Context": (request, response) =>
    response.end(String(Object.keys(request).filter((name) => Reflect.get(request, name) === scs.sessionOf(request)))),
  "/Fail": () => {
    throw new Error("testing error log...");
  },
};

interface Answer {
  code: number;
  body: string;
  /** The Set-Cookie header; empty when there is none. */
  cookie: string;
  /** For the next request: `name=token`. */
  next: string;
}

/** Sends requests to an application with these options, one server each, and closes it. */
async function visit(path: string, cookie = "", options: ManageOptions = {}): Promise<Answer> {
  const app = await serve(
    scs.manage(engine, options)((request, response) => routes[request.url ?? ""]?.(request, response)),
  );
  const response = await app.get(path, cookie);
  const cookies = response.headers.getSetCookie();
  expect(cookies.length).toBeLessThanOrEqual(1);
  const body = await response.text();
  await app.close();
  const [set = ""] = cookies;
  return { code: response.status, body, cookie: set, next: set.split(";")[0] || cookie };
}

const tokenIn = (cookie: string): string => cookie.split("=")[1] ?? "";

/** Ported from session_test.go. */
describe("the sessions of SCS v0.1.1", () => {
  it("TestGenerateToken: a token is 43 characters of base64url", async () => {
    expect(tokenIn((await visit("/PutString")).next)).toMatch(/^[0-9a-zA-Z_-]{43}$/);
  });

  it("TestDestroy: the row is gone, and one Set-Cookie clears the cookie", async () => {
    const { next } = await visit("/PutString");
    const { body, cookie } = await visit("/Destroy", next);
    expect(body).toBe("OK");
    expect(cookie).toMatch(/^session=;/);
    expect(cookie).toContain("Expires=Thu, 01 Jan 1970 00:00:01 GMT");
    expect(cookie).toContain("Max-Age=0");
    expect(await engine.find(idOf(tokenIn(next)))).toBe(undefined);
    expect((await visit("/GetString", next)).body).toBe("");
  });

  it("TestRegenerateToken: another token, the same data; the old row is gone", async () => {
    const { next } = await visit("/PutString");
    const renewed = await visit("/RegenerateToken", next);
    expect(renewed.body).toBe("OK");
    expect(renewed.next).not.toBe(next);
    expect(await engine.find(idOf(tokenIn(next)))).toBe(undefined);
    expect((await visit("/GetString", renewed.next)).body).toBe("lorem ipsum");
  });

  it("TestRenew: another token, no data; the old row is gone", async () => {
    const { next } = await visit("/PutString");
    const renewed = await visit("/Renew", next);
    expect(renewed.body).toBe("OK");
    expect(renewed.next).not.toBe(next);
    expect(await engine.find(idOf(tokenIn(next)))).toBe(undefined);
    expect((await visit("/GetString", renewed.next)).body).toBe("");
  });

  it("TestSave: the row is there and the cookie set, once; later changes are ErrAlreadyWritten", async () => {
    const { body, cookie, next } = await visit("/Save");
    expect(body).toBe("OK");
    expect(cookie).toMatch(/^session=/);
    expect(await engine.find(idOf(tokenIn(next)))).toBeDefined();
  });
});

/** Ported from manager_test.go. */
describe("the manager of SCS v0.1.1", () => {
  it("TestWriteResponse: the handler's status arrives", async () => {
    expect((await visit("/WriteHeader")).code).toBe(418);
  });

  it("TestManagerOptionsLeak: options of one manager don't reach another", async () => {
    scs.manage(engine, { domain: "example.org" });
    expect((await visit("/PutString")).cookie).not.toContain("example.org");
  });

  it("TestFlusher: what is flushed comes whole, with the cookie before it", async () => {
    const { body, cookie, next } = await visit("/Flush");
    expect(body).toBe("This is some…flushed data");
    expect(cookie).toMatch(/^session=/);
    expect(await engine.find(idOf(tokenIn(next)))).toBeDefined();
  });
});

/** Ported from options_test.go. */
describe("the options of SCS v0.1.1", () => {
  it("TestCookieOptions: the defaults", async () => {
    const { cookie } = await visit("/PutString");
    expect(cookie).toMatch(/^session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/);
  });

  it("TestCookieOptions: each option stands in the cookie", async () => {
    const options: ManageOptions = {
      path: "/foo",
      domain: "example.org",
      secure: true,
      httpOnly: false,
      lifetime: "1h",
      persist: true,
      sameSite: "strict",
      partitioned: true,
    };
    const { cookie } = await visit("/PutString", "", options);
    for (const part of [
      "Path=/foo",
      "Domain=example.org",
      "Secure",
      "Max-Age=3600",
      "Expires=",
      "SameSite=Strict",
      "Partitioned",
    ]) {
      expect(cookie).toContain(part);
    }
    expect(cookie).not.toContain("HttpOnly");
    const session = (await visit("/PutString", "", { lifetime: "1h" })).cookie;
    expect(session).not.toContain("Max-Age=");
    expect(session).not.toContain("Expires=");
  });

  it("TestLifetime: absolute, whatever happens meanwhile; then another token", async () => {
    const options = { lifetime: 200 };
    const { next } = await visit("/PutString", "", options);
    clock.now += 100;
    await visit("/PutString", next, options);
    clock.now += 100;
    expect((await visit("/GetString", next, options)).body).toBe("");
    expect((await visit("/PutString", next, options)).next).not.toBe(next);
  });

  it("TestIdleTimeout: ends without activity, goes on with it", async () => {
    const options = { idleTimeout: 100, lifetime: 500 };
    const first = await visit("/PutString", "", options);
    clock.now += 150;
    expect((await visit("/GetString", first.next, options)).body).toBe("");
    const second = await visit("/PutString", first.next, options);
    expect(second.next).not.toBe(first.next);
    clock.now += 75;
    await visit("/GetString", second.next, options);
    clock.now += 75;
    expect((await visit("/GetString", second.next, options)).body).toBe("lorem ipsum");
    expect((await visit("/PutString", second.next, options)).next).toBe(second.next);
  });

  it("TestErrorFunc: a 500 by default, or what the function answers", async () => {
    const errorFunc: ManageOptions["errorFunc"] = (_request, response, error) =>
      response.writeHead(418).end((error as Error).message);
    expect(await visit("/Fail", "", { errorFunc })).toMatchObject({ code: 418, body: "testing error log..." });
    const logged: unknown[] = [];
    const { error } = console;
    console.error = (...args) => logged.push(args);
    expect(await visit("/Fail")).toMatchObject({ code: 500, body: "Internal Server Error\n" });
    console.error = error;
    expect(logged).toHaveLength(1);
  });

  it("TestPersist: Max-Age follows the idle timeout", async () => {
    expect((await visit("/PutString", "", { idleTimeout: "5m", persist: true })).cookie).toContain("Max-Age=300");
  });

  it("TestCookieName: the cookie has the name that was chosen", async () => {
    const options = { cookieName: "custom_cookie_name" };
    const { cookie, next } = await visit("/PutString", "", options);
    expect(cookie).toMatch(/^custom_cookie_name=/);
    expect((await visit("/GetString", next, options)).body).toBe("lorem ipsum");
  });

  it("TestContextDataName: the request holds the session under the name that was chosen", async () => {
    const options = { contextName: "custom_context_name" };
    const { next } = await visit("/PutString", "", options);
    expect((await visit("/Context", next, options)).body).toBe("custom_context_name");
    expect((await visit("/Context", next)).body).toBe("");
    expect((await visit("/GetString", next, options)).body).toBe("lorem ipsum");
  });

  it("without the middleware every function throws SessionMissingError", () => {
    expect(() => scs.getString({}, "key")).toThrow(scs.SessionMissingError);
    expect(() => scs.putString({}, "key", "x")).toThrow(scs.SessionMissingError);
    expect(() => scs.keys({})).toThrow(scs.SessionMissingError);
  });
});

describe("the module under its former name", () => {
  it("exports the same functions", () => {
    expect({ ...alias }).toEqual({ ...scs });
  });
});
