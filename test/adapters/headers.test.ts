import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { type Session, SessionManager, type SessionOptions } from "../../src/index.ts";
import { connect, nodeHandler, type NodeListener } from "../../src/node.ts";
import { GatedStore } from "../support/gated-store.ts";
import { cookieOf, serving } from "../support/serve.ts";

type Routes = Record<string, (session: Session, response: ServerResponse, request: IncomingMessage) => unknown>;

function app(routes: Routes, options: SessionOptions = {}) {
  const store = new GatedStore();
  const manager = new SessionManager(store, options);
  const listener = nodeHandler(manager, (request, response) =>
    routes[request.url ?? ""]?.(manager.sessionOf(request), response, request),
  );
  return { store, manager, listener };
}

const put = (session: Session, response: ServerResponse): unknown => {
  session.set("key", "value");
  return response.end();
};

/** A raw answer without the Date header, which changes. */
const withoutDate = (answer: string): string => answer.replace(/^Date: .*\r\n/m, "");

describe("a request that needs no commit", () => {
  const listener: NodeListener = (_request, response) => {
    response.writeHead(201, "Yes", ["X-Twice", "1", "x-twice", "2", "Content-Length", "4"]);
    response.write("bo");
    response.end("dy");
  };
  const question = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

  it("passes through untouched, to the byte", async () => {
    const bare = await serving(listener, ({ raw }) => raw(question));
    const manager = new SessionManager(new GatedStore());
    const ours = await serving(nodeHandler(manager, listener), ({ raw }) => raw(question));
    expect(withoutDate(ours)).toBe(withoutDate(bare));
  });

  it("runs its handler at once, and makes no query", async () => {
    const { store, listener: handler } = app({ "/": (session, response) => response.end(String(session.get("key"))) });
    await serving(handler, async ({ get }) => {
      expect(await (await get("/")).text()).toBe("undefined");
      expect(await (await get("/", "session=; session=malformed; other=1")).text()).toBe("undefined");
      expect([store.finds, store.writes]).toEqual([0, 0]);
    });
  });

  it("writes nothing and sets no cookie when nothing changed", async () => {
    const { store, listener: handler } = app({
      "/put": put,
      "/get": (session, response) => response.end(String(session.get("key"))),
    });
    await serving(handler, async ({ get }) => {
      const cookie = cookieOf(await get("/put"));
      const response = await get("/get", cookie);
      expect(await response.text()).toBe("value");
      expect(response.headers.getSetCookie()).toEqual([]);
      expect(response.headers.get("Cache-Control")).toBe(null);
      expect([store.finds, store.writes]).toEqual([1, 1]);
    });
  });
});

describe("Vary: Cookie", () => {
  const routes: Routes = {
    "/unread": (_session, response) => response.end(),
    "/read": (session, response) => response.end(String(session.get("key"))),
    "/has": (session, response) => response.end(String(session.has("key"))),
    "/user": (session, response) => response.end(String(session.userId)),
    "/own": (session, response) => response.writeHead(200, { Vary: "Accept, cookie" }).end(String(session.size)),
    "/merge": (session, response) => response.writeHead(200, { Vary: "Accept" }).end(String(session.size)),
    "/star": (session, response) => response.writeHead(200, { Vary: "*" }).end(String(session.size)),
    "/put": put,
  };
  it("stands on every response for which the session was read, once", async () => {
    const { listener } = app(routes);
    await serving(listener, async ({ get }) => {
      const vary = async (path: string, cookie?: string): Promise<string | null> =>
        (await get(path, cookie)).headers.get("Vary");
      expect(await vary("/unread")).toBe(null);
      for (const path of ["/read", "/has", "/user", "/put"]) expect(await vary(path), path).toBe("Cookie");
      expect(await vary("/own")).toBe("Accept, cookie");
      expect(await vary("/merge")).toBe("Accept, Cookie");
      expect(await vary("/star")).toBe("*");
      const cookie = cookieOf(await get("/put"));
      expect(await vary("/unread", cookie)).toBe("Cookie");
      expect(await vary("/unread", `session=${"x".repeat(43)}`)).toBe("Cookie");
    });
  });
});

describe("Cache-Control", () => {
  it("is no-store wherever a cookie is set, refreshed or cleared, merged with the application's", async () => {
    const { listener } = app(
      {
        "/put": put,
        "/public": (session, response) => {
          session.set("key", "value");
          response.writeHead(200, { "Cache-Control": "public, max-age=60, no-transform" }).end();
        },
        "/list": (session, response) => {
          session.set("key", "value");
          response.setHeader("Cache-Control", ["private", "No-Store"]);
          response.end();
        },
        "/get": (session, response) => response.end(String(session.get("key"))),
        "/destroy": async (session, response) => {
          await session.destroy();
          response.end();
        },
      },
      { idleTimeout: "20m", touchAfter: 0, cookie: { persist: true } },
    );
    await serving(listener, async ({ get }) => {
      const cookie = cookieOf(await get("/put"));
      const control = async (path: string, sent?: string): Promise<string | null> => {
        const response = await get(path, sent);
        expect(response.headers.getSetCookie(), path).toHaveLength(1);
        return response.headers.get("Cache-Control");
      };
      expect(await control("/public")).toBe("no-transform, private, no-store");
      expect(await control("/list")).toBe("private, no-store");
      expect(await control("/get", cookie)).toBe("private, no-store");
      expect(await control("/destroy", cookie)).toBe("private, no-store");
    });
  });
});

describe("Vary", () => {
  it("is there where a lazy session could not be loaded and the handler answers all the same", async () => {
    const store = new GatedStore();
    store.lookUp = () => Promise.reject(new Error("expected by the test"));
    const manager = new SessionManager<object, true>(store, { lazy: true });
    const listener = nodeHandler(manager, async (request, response) => {
      const failed = await manager.sessionOf(request).then(
        () => "loaded",
        () => "failed",
      );
      response.end(failed);
    });
    await serving(listener, async ({ get }) => {
      const answer = await get("/", `session=${"x".repeat(43)}`);
      expect([answer.status, await answer.text(), answer.headers.get("Vary")]).toEqual([200, "failed", "Cookie"]);
    });
  });
});

describe("Set-Cookie", () => {
  it("of our name comes once, whatever the application does; those of others stay", async () => {
    const { listener } = app({
      "/many": async (session, response) => {
        response.setHeader("Set-Cookie", ["other=1; Path=/", "session=forged"]);
        session.set("a", 1);
        await session.renewToken();
        await session.login("ada");
        session.set("b", 2);
        await session.save();
        response.writeHead(200).end();
      },
      "/destroyed": async (session, response) => {
        session.set("a", 1);
        await session.renewToken();
        await session.destroy();
        response.end();
      },
    });
    await serving(listener, async ({ get }) => {
      const cookies = (await get("/many")).headers.getSetCookie();
      expect(cookies).toHaveLength(2);
      expect(cookies[0]).toBe("other=1; Path=/");
      expect(cookies[1]).toMatch(/^session=[\w-]{43}; /);
      expect((await get("/destroyed")).headers.getSetCookie()).toEqual([]);
    });
  });

  it("clears the cookie with the attributes it was set with", async () => {
    const { listener } = app(
      {
        "/put": put,
        "/destroy": async (session, response) => {
          await session.destroy();
          response.end();
        },
      },
      { cookie: { domain: "example.org", path: "/in", sameSite: "none", partitioned: true } },
    );
    await serving(listener, async ({ get }) => {
      const set = (await get("/put")).headers.getSetCookie()[0] ?? "";
      const clear = (await get("/destroy", set.split(";")[0])).headers.getSetCookie()[0] ?? "";
      const attributes = "Domain=example.org; Path=/in";
      expect(set).toMatch(
        new RegExp(`^session=[\\w-]{43}; ${attributes}; HttpOnly; Secure; Partitioned; SameSite=None$`),
      );
      expect(clear).toBe(
        `session=; Max-Age=0; ${attributes}; Expires=Thu, 01 Jan 1970 00:00:01 GMT; HttpOnly; Secure; Partitioned; SameSite=None`,
      );
    });
  });
});

describe("a response of HTTP/2", () => {
  it("is held like any other", async () => {
    const { listener } = app({ "/": put });
    const server = http2.createServer(listener as never).listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [headers] = await once(client.request({ ":path": "/" }).resume().end(), "response");
    expect([headers[":status"], headers["set-cookie"]]).toEqual([200, [expect.stringMatching(/^session=/)]]);
    client.destroy();
    server.close();
  });
});

describe("while the commit is under way", () => {
  it("the response says of itself what is true for the application", async () => {
    const seen: Record<string, unknown> = {};
    const { store, manager, listener } = app({
      "/held": async (session, response) => {
        session.set("key", 1);
        seen["before"] = [response.headersSent, response.writableEnded];
        expect(() => response.writeHead(99)).toThrow(RangeError);
        expect(() => response.writeHead(200, { "X-Bad": "\n" })).toThrow(/Invalid character/);
        response.writeHead(201);
        seen["head"] = [response.headersSent, response.writableEnded, response.statusCode];
        expect(() => response.writeHead(201)).toThrow(/Cannot write headers/);
        session.set("in time", 1);
        response.write("bo");
        // Node may gather what is written in one turn.
        await new Promise((resolve) => setImmediate(resolve));
        expect(() => session.set("late", 1)).toThrow(/already committed/);
        expect(() => response.writeHead(500)).toThrow(/Cannot write headers/);
        response.end("dy");
        seen["end"] = [response.headersSent, response.writableEnded];
        response.on("finish", () => (seen["finish"] = [response.headersSent, response.writableEnded]));
      },
    });
    await serving(listener, async ({ get }) => {
      const { arrived, release } = store.hold();
      const pending = get("/held");
      await arrived;
      release();
      const response = await pending;
      expect([response.status, await response.text()]).toEqual([201, "body"]);
      expect((await manager.load(cookieOf(response)?.slice("session=".length))).keys()).toEqual(["in time", "key"]);
      expect(seen).toEqual({
        before: [false, false],
        head: [true, false, 201],
        end: [true, true],
        finish: [true, true],
      });
    });
  });

  it("early hints go out first", async () => {
    const { listener } = app({
      "/": (session, response) => {
        session.set("key", 1);
        response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
        response.end("body");
      },
    });
    await serving(listener, async ({ raw }) => {
      const answer = await raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      expect(answer).toMatch(/^HTTP\/1.1 103 Early Hints\r\nLink: [^\r]*\r\n\r\nHTTP\/1.1 200 OK\r\n/);
      expect(answer.match(/Set-Cookie/g)).toHaveLength(1);
    });
  });

  it("middleware that has wrapped the response, before or after, keeps working", async () => {
    /** Like `compression`: rewrites the head on its way out and the body with it. */
    const shout = (response: ServerResponse): void => {
      const { writeHead, write, end } = response;
      response.writeHead = ((...args: Parameters<typeof writeHead>) => {
        response.setHeader("X-Shout", "1");
        return writeHead.apply(response, args);
      }) as typeof writeHead;
      response.write = ((chunk: string) => write.call(response, chunk.toUpperCase(), "utf8")) as typeof write;
      response.end = ((chunk: string) => end.call(response, chunk.toUpperCase(), "utf8")) as typeof end;
    };
    for (const when of ["before", "after"]) {
      const manager = new SessionManager(new GatedStore());
      const middleware = connect(manager);
      const listener: NodeListener = (request, response) => {
        if (when === "before") shout(response);
        middleware(request, response, () => {
          if (when === "after") shout(response);
          manager.sessionOf(request).set("key", 1);
          response.write("bo");
          response.end("dy");
        });
      };
      await serving(listener, async ({ get }) => {
        const response = await get("/");
        expect(await response.text()).toBe("BODY");
        expect(response.headers.get("X-Shout")).toBe("1");
        expect(cookieOf(response)).toMatch(/^session=/);
      });
    }
  });

  it("two managers in one request keep apart, and one that wraps twice works once", async () => {
    const [first, second] = [new GatedStore(), new GatedStore()];
    const one = new SessionManager(first);
    const two = new SessionManager(second, { cookie: { name: "second" } });
    const listener = nodeHandler(
      one,
      nodeHandler(
        two,
        nodeHandler(one, (request, response) => {
          one.sessionOf(request).set("key", "one");
          two.sessionOf(request).set("key", "two");
          response.end();
          seen = () => [response.headersSent, response.writableEnded];
        }),
      ),
    );
    let seen = (): unknown => undefined;
    await serving(listener, async ({ get }) => {
      const stores = [second.hold(), first.hold()];
      const pending = get("/");
      for (const { arrived, release } of stores) {
        await arrived;
        expect(seen()).toEqual([true, true]);
        release();
      }
      const response = await pending;
      const names = response.headers.getSetCookie().map((cookie) => cookie.split("=")[0]);
      expect(new Set(names)).toEqual(new Set(["second", "session"]));
      expect([first.writes, second.writes]).toEqual([1, 1]);
    });
  });
});
