import { once } from "node:events";
import type { ServerResponse } from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { SessionManager } from "../../src/index.ts";
import { connect, nodeHandler } from "../../src/node.ts";
import { GatedStore } from "../support/gated-store.ts";

// A file of its own: Node gives such a warning once in a process.
it("a response of HTTP/2 makes Node warn of nothing, held, failed or refused", async () => {
  const warnings: unknown[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on("warning", note);
  vi.spyOn(console, "error").mockImplementation(() => {});
  class FailingStore extends GatedStore {
    override async find(): Promise<undefined> {
      throw new Error("down");
    }
  }
  const store = new FailingStore();
  const manager = new SessionManager<{ n: number }>(store);
  const set = (request: object, response: ServerResponse): void => {
    manager.sessionOf(request).set("n", 1);
    response.end("body");
  };
  const handle = nodeHandler(manager, set);
  const middleware = connect(manager);
  const server = http2
    .createServer((request, response) => {
      const [incoming, answer] = [request as never, response as never];
      if (request.url === "/connect") {
        middleware(incoming, answer, (error) => {
          if (error !== undefined) throw error;
          set(incoming, answer);
        });
      } else handle(incoming, answer);
    })
    .listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    client.destroy();
    server.close();
    process.off("warning", note);
    vi.restoreAllMocks();
  });
  const status = async (path: string, cookie?: string): Promise<unknown> => {
    const stream = client.request({ ":path": path, ...(cookie === undefined ? {} : { cookie }) }).resume();
    const [head] = await once(stream, "response");
    return head[":status"];
  };
  const token = `session=${"a".repeat(43)}`;
  for (const path of ["/", "/connect"]) {
    store.failure = undefined;
    expect(await status(path)).toBe(200);
    // The load fails, and then the commit.
    expect(await status(path, token)).toBe(500);
    store.failure = new Error("down");
    expect(await status(path)).toBe(500);
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings).toEqual([]);
});
