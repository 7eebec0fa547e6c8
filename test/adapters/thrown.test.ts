import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { MemoryStore, SessionManager } from "../../src/index.ts";
import { connect, nodeHandler, type NodeListener } from "../../src/node.ts";
import { GatedStore } from "../support/gated-store.ts";
import { serving } from "../support/serve.ts";

const mishap = new Error("expected by the test");
const errors: unknown[] = [];
afterEach(() => void errors.splice(0));

/** A handler that has changed its session before it fails. */
function failing(fail: NodeListener, store: MemoryStore = new MemoryStore({ cleanupInterval: 0 })) {
  const manager = new SessionManager(store, { onError: (error) => errors.push(error) });
  const listener = nodeHandler(manager, (request, response) => {
    manager.sessionOf(request).set("key", "value");
    return fail(request, response);
  });
  const rows = async (): Promise<number> => {
    let count = 0;
    for await (const _ of store.all()) count++;
    return count;
  };
  return { manager, listener, rows };
}

describe("a handler that throws", () => {
  it("leaves nothing of the body that it had announced", async () => {
    const { listener } = failing((_request, response) => {
      response.setHeader("Content-Length", 1000);
      response.setHeader("Content-Encoding", "gzip");
      response.setHeader("Cache-Control", "public, max-age=3600");
      response.setHeader("ETag", '"1"');
      response.setHeader("Location", "/elsewhere");
      throw mishap;
    });
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
      for (const name of ["Content-Encoding", "ETag", "Location"]) expect(response.headers.get(name)).toBe(null);
      expect(response.headers.get("Cache-Control")).toBe("private, no-store");
      expect(response.headers.getSetCookie()).toHaveLength(1);
    });
    expect(errors).toEqual([mishap]);
  });

  it("after writeHead, when no byte has left, is a 500 all the same, and the session is stored", async () => {
    const { listener, rows } = failing((_request, response) => {
      response.writeHead(200, { "Content-Type": "text/html", "Content-Length": 1000 });
      throw mishap;
    });
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
    });
    expect(await rows()).toBe(1);
    expect(errors).toEqual([mishap]);
  });

  it("because its client has gone keeps what it had set", async () => {
    const aborting = new AbortController();
    const { listener, rows } = failing(async (_request, response) => {
      const gone = once(response, "close");
      aborting.abort();
      await gone;
      throw mishap;
    });
    await serving(listener, async ({ url }) => {
      await expect(fetch(url, { signal: aborting.signal })).rejects.toThrow("aborted");
      await expect.poll(rows).toBe(1);
    });
    expect(errors).toEqual([mishap]);
  });

  it("by way of any thenable is noticed", async () => {
    const { listener } = failing(() => ({
      // oxlint-disable-next-line unicorn/no-thenable -- what some libraries return instead of a promise
      then: (_resolve: unknown, reject: (error: unknown) => void) => reject(mishap),
    }));
    await serving(listener, async ({ get }) => expect((await get("/")).status).toBe(500));
    expect(errors).toEqual([mishap]);
  });

  it("as the next middleware after a session was loaded is reported, not unhandled", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const manager = new SessionManager(store);
    const session = await manager.load();
    session.set("key", 1);
    await manager.commit(session);
    const middleware = connect(manager);
    const listener: NodeListener = (request, response) => {
      let calls = 0;
      middleware(request, response, (error) => {
        if (++calls === 1) throw mishap;
        errors.push(error);
        response.end();
      });
    };
    await serving(listener, async ({ get }) => void (await get("/", `session=${session.token}`)));
    expect(errors).toEqual([mishap]);
  });
});

describe("what Node refuses of a response that is held back", () => {
  it("is a 500 that is reported, not a connection that is cut off", async () => {
    for (const send of [
      (response: ServerResponse) => response.end(123),
      (response: ServerResponse) => response.writeHead(200, "bad\nreason").end(),
    ]) {
      const { listener, rows } = failing((_request, response) => send(response));
      await serving(listener, async ({ get }) => expect((await get("/")).status).toBe(500));
      expect(await rows()).toBe(1);
      expect(errors.splice(0)).toHaveLength(1);
    }
  });
});

describe("writeHead of a response that is held back", () => {
  const heads: Record<string, [args: unknown[], expected: Record<string, string | string[]>]> = {
    "takes a flat list whose values are lists": [
      [200, ["Set-Cookie", ["a=1", "b=2"], "X-One", "1"]],
      { "set-cookie": ["a=1", "b=2"], "x-one": "1" },
    ],
    "takes a status that is a text": [["200", { "X-One": "1" }], { "x-one": "1" }],
    "replaces headers that were set before, whatever their case": [[200, { "x-before": "2" }], { "x-before": "2" }],
  };
  for (const [title, [args, expected]] of Object.entries(heads)) {
    it(title, async () => {
      const { listener } = failing((_request, response) => {
        response.setHeader("X-Before", "1");
        (response.writeHead as (...all: unknown[]) => ServerResponse)(...args);
        response.end("body");
      });
      await serving(listener, async ({ get }) => {
        const response = await get("/");
        expect([response.status, await response.text()]).toEqual([200, "body"]);
        for (const [name, value] of Object.entries(expected)) {
          if (name !== "set-cookie") expect(response.headers.get(name)).toBe(value);
          else expect(response.headers.getSetCookie().slice(0, -1)).toEqual(value);
        }
      });
      expect(errors).toEqual([]);
    });
  }
});

describe("a response whose session could not be stored or read", () => {
  it("tells caches that it depends on the cookie", async () => {
    const store = new GatedStore();
    const { listener } = failing((_request, response) => response.end(), store);
    await serving(listener, async ({ get }) => {
      store.failure = mishap;
      const notStored = await get("/");
      expect([notStored.status, notStored.headers.get("Vary")]).toEqual([500, "Cookie"]);
      store.find = () => Promise.reject(mishap);
      const notRead = await get("/", `session=${"x".repeat(43)}`);
      expect([notRead.status, notRead.headers.get("Vary")]).toEqual([500, "Cookie"]);
    });
  });
});
