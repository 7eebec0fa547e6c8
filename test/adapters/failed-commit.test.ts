import type { ServerResponse } from "node:http";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { Readable } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  SessionDecodeError,
  SessionManager,
  SessionTooLargeError,
  type SessionOptions,
  StoreUnavailableError,
} from "../../src/index.ts";
import { idOf } from "../../src/lib/core/token.ts";
import { connect, nodeHandler, type NodeListener } from "../../src/node.ts";
import { GatedStore } from "../support/gated-store.ts";
import { cookieOf, serving } from "../support/serve.ts";

const down = new StoreUnavailableError("expected by the test");

function setup(answer: NodeListener, options: SessionOptions = {}) {
  const store = new GatedStore();
  store.failure = down;
  const errors: unknown[] = [];
  const manager = new SessionManager(store, { onError: (error) => errors.push(error), ...options });
  const listener = nodeHandler(manager, (request, response) => {
    if (request.url === "/plain") return response.end("plain");
    manager.sessionOf(request).set("key", "value");
    return answer(request, response);
  });
  return { store, errors, manager, listener };
}

describe("a commit that fails", () => {
  it("is a 500 that gives nothing away, without what the handler wrote", async () => {
    const { errors, listener } = setup((_request, response) => {
      response.writeHead(200, {
        "Content-Type": "text/html",
        "Content-Length": 6,
        ETag: '"1"',
        "Cache-Control": "public, max-age=60",
        "Content-Security-Policy": "default-src 'none'",
        "Set-Cookie": "other=1",
      });
      response.write("sec");
      response.end("ret");
    });
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect(response.status).toBe(500);
      expect(await response.text()).toBe("Internal Server Error\n");
      expect(response.headers.getSetCookie()).toEqual([]);
      expect(response.headers.get("ETag")).toBe(null);
      expect(response.headers.get("Cache-Control")).toBe(null);
      expect(response.headers.get("Content-Type")).toBe("text/plain; charset=utf-8");
      expect(response.headers.get("Content-Security-Policy")).toBe("default-src 'none'");
      expect(errors).toEqual([down]);
    });
  });

  it("does not let a redirect through", async () => {
    const { listener } = setup((_request, response) => response.writeHead(303, { Location: "/in" }).end());
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect(response.status).toBe(500);
      expect(response.headers.get("Location")).toBe(null);
    });
  });

  it("lets onError answer", async () => {
    const onError = (error: unknown, _request: unknown, response: ServerResponse): void => {
      response.writeHead(503, { "Retry-After": "1" }).end((error as Error).name);
    };
    const { listener } = setup((_request, response) => response.end("body"), { onError });
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect(response.status).toBe(503);
      expect(response.headers.get("Retry-After")).toBe("1");
      expect(await response.text()).toBe("StoreUnavailableError");
    });
  });

  it("because the request can't tell whether it uses TLS is answered, with the Secure cookie of what is stored", async () => {
    for (const isLogin of [true, false]) {
      const unknown = new Error("expected by the test");
      const { store, errors, listener, manager } = setup(
        async (request, response) => {
          if (isLogin) await manager.sessionOf(request).login("ada");
          Object.defineProperty(request, "secure", {
            get() {
              throw unknown;
            },
          });
          response.end("body");
        },
        { cookie: { secure: "auto" } },
      );
      store.failure = undefined;
      await serving(listener, async ({ get }) => {
        const response = await get("/");
        expect([response.status, await response.text(), errors]).toEqual([500, "Internal Server Error\n", [unknown]]);
        expect(response.headers.getSetCookie()).toEqual([expect.stringMatching(/^session=.*; Secure/)]);
      });
    }
  });

  it("lets onError answer later, and answers when it fails itself", async () => {
    const later = setup((_request, response) => response.end("body"), {
      onError: async (_error: unknown, _request: unknown, response: ServerResponse) => {
        await new Promise((resolve) => setImmediate(resolve));
        response.end("later");
      },
    });
    await serving(later.listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([500, "later"]);
    });
    const failing = setup((_request, response) => response.end("body"), {
      onError: () => {
        throw new Error("expected by the test");
      },
    });
    await serving(failing.listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
    });
  });

  it("swallows what a stream goes on writing", async () => {
    const written: unknown[] = [];
    const { store, listener } = setup(async (_request, response) => {
      Readable.from(["a", "b", "c"]).pipe(response);
      await new Promise((resolve) => response.on("finish", resolve));
      written.push(response.write("more", () => written.push("write called back")));
      expect(() => response.writeHead(200)).toThrow(/headers after they are sent/);
      response.flushHeaders();
      response.end("end");
    });
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
      await expect.poll(() => written).toEqual([false, "write called back"]);
      store.failure = undefined;
      expect((await get("/plain")).status).toBe(200);
    });
  });

  it("is retried by the next request, once the store is back", async () => {
    const { store, listener } = setup((_request, response) => response.end("body"));
    await serving(listener, async ({ get }) => {
      expect((await get("/")).status).toBe(500);
      store.failure = undefined;
      const response = await get("/");
      expect(response.status).toBe(200);
      expect(response.headers.getSetCookie()).toHaveLength(1);
    });
  });
});

describe("a load that fails", () => {
  class Failing extends GatedStore {
    override async find(): Promise<undefined> {
      throw down;
    }
  }
  const cookie = `session=${"a".repeat(43)}`;

  it("is a 500, and the handler does not run", async () => {
    const errors: unknown[] = [];
    const manager = new SessionManager(new Failing(), { onError: (error) => errors.push(error) });
    let ran = false;
    const listener = nodeHandler(manager, (_request, response) => {
      ran = true;
      response.end();
    });
    await serving(listener, async ({ get }) => {
      const response = await get("/", cookie);
      expect(response.status).toBe(500);
      expect(response.headers.getSetCookie()).toEqual([]);
      expect(errors).toEqual([down]);
      expect(ran).toBe(false);
    });
  });

  it("goes to next in connect", async () => {
    const middleware = connect(new SessionManager(new Failing()));
    const listener: NodeListener = (request, response) =>
      middleware(request, response, (error) => response.writeHead(error === down ? 503 : 200).end());
    await serving(listener, async ({ get }) => {
      expect((await get("/", cookie)).status).toBe(503);
      expect((await get("/")).status).toBe(200);
    });
  });
});

describe("a row whose data can't be decoded", () => {
  it("is no session, is left alone, and an event tells of it", async () => {
    const errors: unknown[] = [];
    const listener = (event: unknown): void => void errors.push((event as { error: unknown }).error);
    subscribe("pgstore:error", listener);
    onTestFinished(() => void unsubscribe("pgstore:error", listener));
    const store = new GatedStore();
    const manager = new SessionManager<{ key: number }>(store, { hashTokens: false });
    const token = "b".repeat(43);
    await store.save(token, new TextEncoder().encode("{broken"), new Date(Date.now() + 60_000));
    await serving(
      nodeHandler(manager, (request, response) => {
        const session = manager.sessionOf(request);
        if (request.url === "/set") session.set("key", 1);
        response.end(session.status);
      }),
      async ({ get }) => {
        expect(await (await get("/", `session=${token}`)).text()).toBe("new");
        const [error] = errors;
        expect(error).toBeInstanceOf(SessionDecodeError);
        expect((error as SessionDecodeError).id).toBe(idOf(token));
        expect((error as SessionDecodeError).message).not.toContain(token);
        const written = await get("/set", `session=${token}`);
        expect(cookieOf(written)).toMatch(/^session=[\w-]{43}$/);
        expect(cookieOf(written)).not.toContain(token);
        expect(new TextDecoder().decode((await store.find(token))?.data)).toBe("{broken");
      },
    );
  });
});

describe("what is kept while a commit fails", () => {
  it("is not sent, but nobody waits for it for ever", async () => {
    const { listener } = setup(async (_request, response) => {
      const written = new Promise((resolve) => response.write("discarded".repeat(10_000), resolve));
      await Promise.all([written, once(response, "drain")]);
      await new Promise<void>((resolve) => response.end("discarded", resolve));
      done();
    });
    let done = (): void => {};
    const finished = new Promise<void>((resolve) => (done = resolve));
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect(response.status).toBe(500);
      expect(await response.text()).not.toContain("discarded");
      await finished;
    });
  });
});

describe("a handler that throws after its head", () => {
  it("cuts the response off", async () => {
    const { store, errors, listener } = setup(async (_request, response) => {
      response.write("half");
      // Node may gather what is written in one turn.
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error("expected by the test");
    });
    store.failure = undefined;
    await serving(listener, async ({ get }) => {
      await expect(get("/").then((response) => response.text())).rejects.toThrow();
      expect((errors[0] as Error).message).toBe("expected by the test");
    });
  });

  it("does not spoil a response that is complete", async () => {
    const { store, errors, listener } = setup((_request, response) => {
      response.end("whole");
      throw new Error("expected by the test");
    });
    store.failure = undefined;
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([200, "whole"]);
      expect(errors).toHaveLength(1);
    });
  });
});

describe("a session that has grown too large", () => {
  it("is refused before the store is asked, and what is stored stays", async () => {
    const store = new GatedStore();
    const errors: unknown[] = [];
    const measuring = new SessionManager(store, { maxBytes: Number.POSITIVE_INFINITY });
    const whole = await measuring.load();
    whole.set("key", "x".repeat(1000));
    await measuring.commit(whole);
    const bytes = (await store.find(whole.id ?? ""))?.data.length ?? 0;
    const manager = new SessionManager(store, { maxBytes: bytes, onError: (error) => errors.push(error) });
    const listener = nodeHandler(manager, (request, response) => {
      manager
        .sessionOf(request)
        .set("key", "y".repeat(Number(new URL(request.url ?? "", "http://x").searchParams.get("n"))));
      response.end("done");
    });
    await serving(listener, async ({ get }) => {
      const first = await get("/?n=1000");
      expect(first.status).toBe(200);
      const cookie = cookieOf(first) ?? "";
      const second = await get("/?n=1001", cookie);
      expect([second.status, await second.text()]).toEqual([500, "Internal Server Error\n"]);
      expect(errors).toEqual([expect.any(SessionTooLargeError)]);
      expect(String(errors[0])).toMatch(new RegExp(`has ${bytes + 1} bytes, more than maxBytes allows: ${bytes}$`));
      const token = cookie.slice("session=".length);
      expect((await manager.load(token)).get("key")).toBe("y".repeat(1000));
    });
  });
});
