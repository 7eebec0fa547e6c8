import { describe, expect, it } from "vitest";
import { SessionManager, type SessionOptions, StoreUnavailableError, MemoryStore } from "../../src/index.ts";
import { fetchHandler } from "../../src/fetch.ts";
import { GatedStore } from "../support/gated-store.ts";

type Data = Record<string, unknown>;

const url = "https://example.org/";
const cookieOf = (response: Response): string => response.headers.getSetCookie()[0]?.split(";")[0] ?? "";

function setup(options: SessionOptions = {}) {
  const store = new GatedStore();
  return { store, manager: new SessionManager<Data>(store, options) };
}

describe("where a login came from", () => {
  it("is what Deno.serve, Bun.serve or a trusted proxy says", async () => {
    const recorded = async (server: unknown, trustProxy = false): Promise<string | undefined> => {
      const store = new MemoryStore({ cleanupInterval: 0 });
      const manager = new SessionManager(store, { recordIp: true, trustProxy });
      const handler = fetchHandler<object, false, [unknown]>(manager, async (_request, session) => {
        await session.login("ada");
        return new Response("in");
      });
      await handler(new Request("http://x/", { headers: { "X-Forwarded-For": "203.0.113.1, 203.0.113.9" } }), server);
      return (await manager.listByUser("ada"))[0]?.ip;
    };
    const bun = { requestIP: (request: Request) => ({ address: `${new URL(request.url).hostname} of Bun` }) };
    expect(await recorded({ remoteAddr: { hostname: "192.0.2.1" } })).toBe("192.0.2.1");
    expect(await recorded(bun)).toBe("x of Bun");
    expect(await recorded({ requestIP: () => null })).toBe(undefined);
    expect(await recorded({ remoteAddr: { hostname: "192.0.2.1" } }, true)).toBe("203.0.113.9");
    expect(await recorded(undefined)).toBe(undefined);
  });
});

describe("CommitResult.applyTo", () => {
  it("changes the headers of a Response", async () => {
    const { manager } = setup();
    const session = await manager.load();
    session.set("cart", "book");
    const result = await manager.commit(session);
    const { headers } = new Response("", {
      headers: { "Cache-Control": "public", Vary: "Accept", "Set-Cookie": "own=1" },
    });
    result.applyTo(headers);
    expect([headers.get("Cache-Control"), headers.get("Vary")]).toEqual(["private, no-store", "Accept, Cookie"]);
    expect(headers.getSetCookie()).toEqual(["own=1", result.setCookie]);
  });
});

describe("fetchHandler", () => {
  it("hands on the other arguments of the server", async () => {
    const { manager } = setup();
    const handler = fetchHandler(manager, (_request, session, context: { params: string }, last: number) => {
      session.set("key", context.params);
      return Response.json([context.params, last]);
    });
    const response = await handler(new Request(url), { params: "a" }, 7);
    expect(await response.json()).toEqual(["a", 7]);
    expect(response.headers.get("Content-Type")).toBe("application/json");
    expect(response.headers.getSetCookie()[0]).toMatch(/^session=.*; Secure/);
  });

  it("adds to responses whose headers are immutable", async () => {
    const { manager } = setup();
    const proxied = await fetch("data:text/plain,proxied");
    expect(() => proxied.headers.append("x", "y")).toThrow(TypeError);
    const answers = { redirect: () => Response.redirect("https://example.org/in", 303), proxied: () => proxied };
    for (const answer of Object.values(answers)) {
      const response = await fetchHandler(manager, (_request, session) => {
        session.set("key", "value");
        return answer();
      })(new Request(url));
      expect(response.headers.getSetCookie()).toHaveLength(1);
      if (answer === answers.redirect)
        expect([response.status, response.headers.get("Location")]).toEqual([303, "https://example.org/in"]);
      else expect(await response.text()).toBe("proxied");
    }
  });

  it("never writes a cookie into a Response that the application gives to others as well", async () => {
    const { manager } = setup();
    const shared = new Response(null, { status: 404 });
    const handler = fetchHandler(manager, (_request, session) => {
      session.set("key", "value");
      return shared;
    });
    const [first, second] = [await handler(new Request(url)), await handler(new Request(url))];
    expect(cookieOf(first)).not.toBe(cookieOf(second));
    expect([...shared.headers]).toEqual([]);
  });

  it("returns the very response when there is nothing to add, or only Vary", async () => {
    const { manager } = setup();
    const own = new Response("own");
    expect(await fetchHandler(manager, () => own)(new Request(url))).toBe(own);
    const reading = fetchHandler(manager, (_request, session) => {
      session.get("key");
      return own;
    });
    expect(await reading(new Request(url))).toBe(own);
    expect([...own.headers]).toContainEqual(["vary", "Cookie"]);
    const proxied = await fetch("data:text/plain,proxied");
    const passing = fetchHandler(manager, (_request, session) => {
      session.get("key");
      return proxied;
    });
    expect((await passing(new Request(url))).headers.get("Vary")).toBe("Cookie");
  });

  it("takes a thrown Response for the answer", async () => {
    const { manager } = setup();
    const response = await fetchHandler(manager, async (_request, session) => {
      await session.login("ada");
      throw Response.redirect("https://example.org/in", 302);
    })(new Request(url));
    expect([response.status, cookieOf(response) !== ""]).toEqual([302, true]);
  });

  it("answers with the cookie what redirect() and notFound() of Next.js throw", async () => {
    const seen: unknown[] = [];
    const { manager } = setup({ onError: (error: unknown) => void seen.push(error) });
    const answerTo = async (digest: unknown): Promise<unknown[]> => {
      const response = await fetchHandler(manager, async (_request, session) => {
        await session.login("ada");
        throw Object.assign(new Error("expected by the test"), { digest });
      })(new Request(url));
      return [response.status, response.headers.get("Location"), cookieOf(response) !== ""];
    };
    expect(await answerTo("NEXT_REDIRECT;replace;/a;b?c=1;307;")).toEqual([307, "/a;b?c=1", true]);
    expect(await answerTo("NEXT_REDIRECT;push;https://example.org/in;308;")).toEqual([
      308,
      "https://example.org/in",
      true,
    ]);
    expect(await answerTo("NEXT_HTTP_ERROR_FALLBACK;404")).toEqual([404, null, true]);
    expect(seen).toEqual([]);
    for (const digest of ["NEXT_REDIRECT;replace;/;200;", "NEXT_HTTP_ERROR_FALLBACK;200", "4133", 7]) {
      expect(await answerTo(digest)).toEqual([500, null, true]);
    }
    expect(seen).toHaveLength(4);
  });

  it("lets onError answer, and answers itself when that fails or returns nothing", async () => {
    const seen: unknown[] = [];
    const answers: (() => unknown)[] = [
      () => new Response("sorry", { status: 503, headers: { "Retry-After": "1" } }),
      () => undefined,
      () => {
        throw new Error("expected by the test");
      },
    ];
    const { manager, store } = setup({
      onError: (error: unknown) => {
        seen.push(error);
        return answers.shift()?.();
      },
    });
    store.failure = new StoreUnavailableError("expected by the test");
    const handler = fetchHandler(manager, (_request, session) => {
      session.set("key", "value");
      return new Response("secret", { headers: { "Set-Cookie": "a=1" } });
    });
    const results: unknown[] = [];
    for (let index = 0; index < 3; index++) {
      const response = await handler(new Request(url));
      results.push([response.status, await response.text(), response.headers.get("Vary")]);
      expect(response.headers.getSetCookie()).toEqual([]);
    }
    const plain = [500, "Internal Server Error\n", "Cookie"];
    expect(results).toEqual([[503, "sorry", "Cookie"], plain, plain]);
    expect(seen).toEqual([store.failure, store.failure, store.failure]);
  });

  it("refuses what is no Response, by a 500", async () => {
    const seen: unknown[] = [];
    const { manager } = setup({ onError: (error: unknown) => void seen.push(error) });
    const response = await fetchHandler(manager, () => "text" as never)(new Request(url));
    expect(response.status).toBe(500);
    expect(seen).toEqual([new TypeError("fetchHandler: expected the handler to return a Response")]);
  });

  it("cancels the body of a response that can't be sent", async () => {
    const { manager, store } = setup({ onError: () => undefined });
    store.failure = new StoreUnavailableError("expected by the test");
    let cancelled = false;
    const body = new ReadableStream({ cancel: () => void (cancelled = true) });
    await fetchHandler(manager, (_request, session) => {
      session.set("key", "value");
      return new Response(body);
    })(new Request(url));
    expect(cancelled).toBe(true);
  });

  it("lets a body that still streams read the session, and refuses its writes", async () => {
    const { manager } = setup();
    const response = await fetchHandler(manager, (_request, session) => {
      session.set("key", "value");
      const body = new ReadableStream(
        {
          pull(controller) {
            expect(() => session.set("key", "late")).toThrow(/already committed/);
            controller.enqueue(new TextEncoder().encode(String(session.get("key"))));
            controller.close();
          },
        },
        { highWaterMark: 0 },
      );
      return new Response(body);
    })(new Request(url));
    expect(await response.text()).toBe("value");
  });

  it("wraps twice with one manager as if once", async () => {
    const { manager, store } = setup();
    const inner = fetchHandler(
      manager,
      (_request, session) => new Response(String(session.update("n", (n) => Number(n ?? 0) + 1))),
    );
    const response = await fetchHandler(manager, (request) => inner(request))(new Request(url));
    expect([await response.text(), response.headers.getSetCookie().length, store.writes]).toEqual(["1", 1, 1]);
  });
});
