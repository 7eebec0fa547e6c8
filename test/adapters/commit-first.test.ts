import { createReadStream } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import net from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { SessionManager } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";
import { GatedStore } from "../support/gated-store.ts";
import { cookieOf, serving } from "../support/serve.ts";

const self = fileURLToPath(import.meta.url);

type Way = (response: ServerResponse, request: IncomingMessage) => unknown;

/** Ways in which a handler can answer, each with the status and body that must arrive. */
const ways: Record<string, { answer: Way; status?: number; body?: string | RegExp; method?: string }> = {
  end: { answer: (response) => response.end("body"), body: "body" },
  "end without a body": { answer: (response) => response.end(), body: "" },
  write: {
    answer: (response) => {
      response.write("bo");
      response.write(Buffer.from("dy"));
      response.end();
    },
    body: "body",
  },
  "writeHead with headers": {
    answer: (response) => response.writeHead(201, { "X-One": "1", "Set-Cookie": "other=1" }).end("body"),
    status: 201,
    body: "body",
  },
  "writeHead with a reason and headers": {
    answer: (response) => response.writeHead(201, "Made", { "X-One": "1" }).end("body"),
    status: 201,
    body: "body",
  },
  "writeHead with an array of headers": {
    answer: (response) =>
      response.writeHead(201, ["X-One", "1", "Set-Cookie", "other=1", "Set-Cookie", "more=1"]).end("body"),
    status: 201,
    body: "body",
  },
  flushHeaders: {
    answer: async (response) => {
      response.flushHeaders();
      await new Promise((resolve) => setImmediate(resolve));
      response.end("body");
    },
    body: "body",
  },
  pipe: { answer: (response) => createReadStream(self).pipe(response), body: /Ways in which a handler can answer/ },
  pipeline: { answer: (response) => pipeline(Readable.from(["bo", "dy"]), response), body: "body" },
  HEAD: { answer: (response) => response.setHeader("Content-Length", 4).end(), body: "", method: "HEAD" },
  204: { answer: (response) => response.writeHead(204).end(), status: 204, body: "" },
  304: { answer: (response) => response.writeHead(304).end(), status: 304, body: "" },
  "a redirect": { answer: (response) => response.writeHead(303, { Location: "/" }).end(), status: 303, body: "" },
  "a handler that throws": {
    answer: () => {
      throw new Error("expected by the test");
    },
    status: 500,
    body: "Internal Server Error\n",
  },
  "a handler that rejects": {
    answer: async () => {
      await Promise.resolve();
      throw new Error("expected by the test");
    },
    status: 500,
    body: "Internal Server Error\n",
  },
};

function setup(answer: Way): { store: GatedStore; manager: SessionManager; listener: ReturnType<typeof nodeHandler> } {
  const store = new GatedStore();
  const manager = new SessionManager(store, { onError: () => {} });
  const listener = nodeHandler(manager, (request, response) => {
    if (request.url === "/probe") return response.end();
    manager.sessionOf(request).set("key", request.url);
    return answer(response, request);
  });
  return { store, manager, listener };
}

describe("nodeHandler commits before the first byte", () => {
  for (const [name, { answer, status = 200, body, method = "GET" }] of Object.entries(ways)) {
    it(`of ${name}`, async () => {
      const { store, manager, listener } = setup(answer);
      await serving(listener, async ({ url }) => {
        const { arrived, release } = store.hold();
        let answered = false;
        const pending = fetch(`${url}/path`, { method, redirect: "manual" }).finally(() => (answered = true));
        await arrived;
        // Bytes that had been sent would have arrived long before this round trip.
        await fetch(`${url}/probe`);
        expect(answered).toBe(false);
        release();
        const response = await pending;
        expect(response.status).toBe(status);
        const text = await response.text();
        if (body instanceof RegExp) expect(text).toMatch(body);
        else expect(text).toBe(body);
        const ours = response.headers.getSetCookie().filter((cookie) => cookie.startsWith("session="));
        expect(ours).toHaveLength(1);
        expect(response.headers.get("Cache-Control")).toBe("private, no-store");
        expect(response.headers.get("Vary")).toBe("Cookie");
        const session = await manager.load(ours[0]?.split(";")[0]?.slice("session=".length));
        expect(session.get("key")).toBe("/path");
        if (name.startsWith("writeHead with")) expect(response.headers.get("X-One")).toBe("1");
        if (name.includes("array")) expect(response.headers.getSetCookie()).toEqual(["other=1", "more=1", ours[0]]);
      });
    });
  }

  it("of a stream of events, which then flow one by one", async () => {
    let push: (text: string) => void = () => {};
    const { store, listener } = setup((response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.flushHeaders();
      push = (text) => void response.write(text);
      push("data: 0\n\n");
    });
    await serving(listener, async ({ get }) => {
      const { arrived, release } = store.hold();
      const pending = get("/");
      await arrived;
      release();
      const response = await pending;
      expect(cookieOf(response)).toMatch(/^session=/);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      expect((await reader?.read())?.value).toBe("data: 0\n\n");
      push("data: 1\n\n");
      expect((await reader?.read())?.value).toBe("data: 1\n\n");
      await reader?.cancel();
    });
  });

  it("though the client has gone: what was set is stored", async () => {
    let gone: Promise<void> = Promise.resolve();
    let finished: () => void = () => {};
    const done = new Promise<void>((resolve) => (finished = resolve));
    const { store, listener } = setup(async (response) => {
      gone = new Promise((resolve) => response.on("close", () => resolve()));
      await gone;
      response.end("body", () => finished());
      finished();
    });
    await serving(listener, async ({ port }) => {
      const socket = net.connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
      await expect.poll(() => socket.bytesWritten).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.destroy();
      await done;
      await expect.poll(() => store.writes).toBe(1);
    });
  });

  it("with backpressure: write returns false, drain comes, nothing is lost or out of order", async () => {
    const chunk = Buffer.alloc(64 * 1024);
    const count = 200;
    const waits = { held: 0, later: 0 };
    const { store, listener } = setup(async (response) => {
      for (let n = 0; n < count; n++) {
        chunk.fill(n % 256);
        if (response.write(Buffer.from(chunk))) continue;
        if (n === 0) waits.held++;
        else waits.later++;
        await new Promise((resolve) => response.once("drain", resolve));
      }
      response.end();
    });
    await serving(listener, async ({ get }) => {
      const { arrived, release } = store.hold();
      const pending = get("/");
      await arrived;
      release();
      const response = await pending;
      // The socket's buffers fill up before anybody reads.
      await new Promise((resolve) => setTimeout(resolve, 50));
      const body = new Uint8Array(await response.arrayBuffer());
      expect(body.length).toBe(count * chunk.length);
      for (let n = 0; n < count; n++) expect(body[n * chunk.length]).toBe(n % 256);
      expect(waits.held).toBe(1);
      expect(waits.later).toBeGreaterThan(0);
    });
  });

  it("and calls the callbacks of write and end in their order", async () => {
    const calls: string[] = [];
    const { store, listener } = setup((response) => {
      response.write("a", () => calls.push("a"));
      response.write("b", "utf8", () => calls.push("b"));
      response.end("c", () => calls.push("c"));
    });
    await serving(listener, async ({ get }) => {
      const { arrived, release } = store.hold();
      const pending = get("/");
      await arrived;
      expect(calls).toEqual([]);
      release();
      expect(await (await pending).text()).toBe("abc");
      await expect.poll(() => calls).toEqual(["a", "b", "c"]);
    });
  });
});
