import { once } from "node:events";
import type { ServerResponse } from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { DeferredHold } from "../../src/lib/adapters/held/calls.ts";
import { holdResponse } from "../../src/lib/adapters/node.ts";
import type { HeadChange, ResponseGate } from "../../src/lib/adapters/held/gates.ts";
import { serving } from "../support/serve.ts";

/** A gate that opens when the test says so, at once, or never. */
class TestGate implements ResponseGate {
  readonly name: string;
  readonly outcome: "at once" | "later" | "fails" | "fails at once";
  #open: () => void = () => {};
  readonly opened = new Promise<void>((resolve) => (this.#open = resolve));
  #arrived: () => void = () => {};
  readonly arrived = new Promise<void>((resolve) => (this.#arrived = resolve));
  answer = (response: ServerResponse): unknown => response.end(`${this.name} failed`);

  constructor(outcome: TestGate["outcome"], name = "gate") {
    this.outcome = outcome;
    this.name = name;
  }

  open(): void {
    this.#open();
  }

  commit(): HeadChange | Promise<HeadChange> {
    this.#arrived();
    const change: HeadChange = {
      applyTo: (headers) => {
        headers.delete("X-Gone");
        headers.append("Set-Cookie", `${this.name}=1`);
      },
    };
    if (this.outcome === "at once") return change;
    if (this.outcome === "fails at once") return Promise.reject(new Error("expected by the test"));
    return this.opened.then(() => {
      if (this.outcome === "fails") throw new Error("expected by the test");
      return change;
    });
  }

  committed(): HeadChange {
    return { applyTo: (headers) => headers.set("X-Committed", this.name) };
  }

  fail(_error: unknown, response: ServerResponse): void {
    response.statusCode = 500;
    this.answer(response);
  }
}

/** Serves one answer on a response that is held by its calls, as those of Bun, Deno and Fastify's inject are. */
async function answered(
  gates: TestGate[],
  work: (response: ServerResponse, held: DeferredHold) => unknown,
): Promise<{ status: number; body: string; headers: Headers }> {
  const listener = (_request: unknown, response: ServerResponse): void => {
    let held: DeferredHold | undefined;
    for (const gate of gates) held = DeferredHold.hold(response, gate);
    void work(response, held as DeferredHold);
  };
  return serving(listener, async ({ get }) => {
    const pending = get("/");
    for (const gate of gates.toReversed()) {
      await gate.arrived;
      await new Promise((resolve) => setImmediate(resolve));
      gate.open();
    }
    const response = await pending;
    return { status: response.status, body: await response.text(), headers: response.headers };
  });
}

describe("a response that is held by its calls", () => {
  for (const outcome of ["at once", "later"] as const) {
    it(`goes out whole, in order, when the commit is done ${outcome}`, async () => {
      const called: string[] = [];
      const { status, body, headers } = await answered([new TestGate(outcome)], (response) => {
        response.setHeader("X-Gone", "1");
        response.writeHead(201, { "X-Own": "1", "Set-Cookie": "own=1" });
        response.flushHeaders();
        response.write("a", () => called.push("write"));
        response.end("b", () => called.push("end"));
      });
      expect([status, body, headers.get("X-Own"), headers.get("X-Gone")]).toEqual([201, "ab", "1", null]);
      expect(headers.getSetCookie()).toEqual(["own=1", "gate=1"]);
      await expect.poll(() => called).toEqual(["write", "end"]);
    });
  }

  it("says that its head has left and that it has ended", async () => {
    const seen: unknown[] = [];
    const note = (response: ServerResponse): unknown =>
      seen.push([response.headersSent, response.finished, response.writableEnded]);
    const gate = new TestGate("later");
    await answered([gate], (response) => {
      note(response);
      response.write("a");
      note(response);
      expect(() => response.writeHead(404)).toThrow(/after they are sent/);
      expect(response.writeHead(200)).toBe(response);
      response.end();
      note(response);
      response.on("finish", () => note(response));
    });
    expect(seen).toEqual([
      [false, false, false],
      [true, false, false],
      [true, true, true],
      [true, true, true],
    ]);
  });

  it("refuses a head as Node does", async () => {
    const { headers } = await answered([new TestGate("later")], (response) => {
      expect(() => response.writeHead(99)).toThrow(RangeError);
      expect(() => response.writeHead(200, { "X-Bad": "\n" })).toThrow(/Invalid character/);
      response.setHeader("X-Before", "1");
      response.writeHead(200, "Fine", [["X-One", "1"] as never, ["x-before", "2"] as never]);
      response.end();
    });
    expect([headers.get("X-One"), headers.get("X-Before")]).toEqual(["1", "2"]);
  });

  it("asks streams to wait, and lets them go on", async () => {
    const { body } = await answered([new TestGate("later")], async (response) => {
      for (let part = 0; part < 3; part++) {
        if (!response.write("x".repeat(100_000))) await once(response, "drain");
      }
      response.end();
    });
    expect(body.length).toBe(300_000);
  });

  it("emits no drain after its end", async () => {
    const events: string[] = [];
    const gate = new TestGate("later");
    await answered([gate], (response) => {
      for (const name of ["drain", "finish"]) response.on(name, () => events.push(name));
      expect(response.write("a")).toBe(false);
      response.end("b");
    });
    await expect.poll(() => events.at(-1)).toBe("finish");
    expect(events).toEqual(["finish"]);
  });

  it("forgets a head that was written when an error takes its place", async () => {
    const { status, body } = await answered([new TestGate("later")], (response, held) => {
      response.writeHead(200, { "Content-Length": 100 });
      const answer = held.restart();
      expect(answer.headersSent).toBe(false);
      answer.statusCode = 500;
      answer.end("an error");
    });
    expect([status, body]).toEqual([500, "an error"]);
  });

  for (const outcome of ["fails", "fails at once"] as const) {
    it(`is replaced when a commit ${outcome}, whatever the application goes on writing`, async () => {
      const called: string[] = [];
      const { status, body, headers } = await answered([new TestGate(outcome)], async (response) => {
        response.writeHead(200, { "X-Frame-Options": "DENY", ETag: "1" });
        response.write("secret", () => called.push("write"));
        response.flushHeaders();
        await new Promise((resolve) => response.once("finish", resolve));
        response.write("late", () => called.push("late write"));
        response.writeHead(200);
        response.flushHeaders();
        response.end("late", () => called.push("late end"));
      });
      expect([status, body]).toEqual([500, "gate failed"]);
      expect([headers.get("ETag"), headers.get("X-Frame-Options")]).toEqual([null, "DENY"]);
      expect(headers.get("X-Committed")).toBe("gate");
      await expect.poll(() => called).toEqual(["write", "late write", "late end"]);
    });

    it(`is replaced when a commit ${outcome} with the end`, async () => {
      const { body } = await answered([new TestGate(outcome)], (response) => response.end("secret"));
      expect(body).toBe("gate failed");
      const flushed = await answered([new TestGate(outcome)], (response) => {
        response.flushHeaders();
        response.end("secret");
      });
      expect(flushed.body).toBe("gate failed");
    });
  }

  it("waits for each of its sessions, and tells of those that are stored", async () => {
    const names = async (...outcomes: TestGate["outcome"][]): Promise<unknown> => {
      const gates = outcomes.map((outcome, index) => new TestGate(outcome, index === 0 ? "outer" : "inner"));
      const { body, headers } = await answered(gates, (response) => response.end("body"));
      return [body, headers.getSetCookie()];
    };
    expect(await names("later", "later")).toEqual(["body", ["inner=1", "outer=1"]]);
    expect(await names("at once", "later")).toEqual(["body", ["inner=1", "outer=1"]]);
    expect(await names("later", "fails")).toEqual(["inner failed", ["outer=1"]]);
    expect(await names("fails", "later")).toEqual(["outer failed", ["inner=1"]]);
    expect(await names("fails", "fails")).toEqual(["outer failed", []]);
  });

  it("takes an answer that comes later, in pieces", async () => {
    const gate = new TestGate("fails");
    gate.answer = (response) => {
      setImmediate(() => {
        response.writeHead(503, { "Content-Type": "text/plain" });
        response.write("so");
        setImmediate(() => response.end("rry"));
      });
    };
    const { status, body } = await answered([gate], (response) => response.end("secret"));
    expect([status, body]).toEqual([503, "sorry"]);
  });

  it("is an error when a call that was kept is refused, with what was stored", async () => {
    const { status, body, headers } = await answered([new TestGate("later")], (response) => {
      response.writeHead(200, { "Content-Length": 2, Trailer: "X-T" });
      response.end("ok");
    });
    expect([status, body, headers.getSetCookie()]).toEqual([500, "gate failed", ["gate=1"]]);
  });

  it("is cut off when a call is refused after its head has left", async () => {
    const gate = new TestGate("later");
    await expect(
      answered([gate], (response) => {
        response.write("half");
        response.write(7);
      }),
    ).rejects.toThrow();
  });

  it("commits when its client goes before the first byte", async () => {
    for (const isGone of [true, false]) {
      const gate = new TestGate("later");
      const listener = (_request: unknown, response: ServerResponse): void => {
        const held = DeferredHold.hold(response, gate);
        if (!isGone) held.settle();
        response.once("close", () => held.settle());
        response.destroy();
      };
      await serving(listener, async ({ get }) => {
        await get("/").catch(() => {});
        await gate.arrived;
        gate.open();
      });
    }
  });
});

describe("a commit that fails at once", () => {
  it("is answered in place of the application, whichever its first call is", async () => {
    const calls: ((response: ServerResponse) => unknown)[] = [
      (response) => response.end("secret"),
      (response) => response.write(Buffer.from("secret")),
      (response) => response.flushHeaders(),
    ];
    for (const call of calls) {
      const called: string[] = [];
      const listener = (request: never, response: ServerResponse): void => {
        holdResponse(response, new TestGate("fails at once"));
        response.setHeader("X-Frame-Options", "DENY");
        call(response);
        response.write("late", () => called.push("write"));
      };
      await serving(listener as never, async ({ get }) => {
        const response = await get("/");
        expect([response.status, await response.text()]).toEqual([500, "gate failed"]);
        expect(response.headers.get("X-Frame-Options")).toBe("DENY");
        await expect.poll(() => called).toEqual(["write"]);
      });
    }
  });

  it("is answered over HTTP/2 as well", async () => {
    const server = http2.createServer((request, response) => {
      holdResponse(response as never, new TestGate("fails at once"));
      response.write("secret");
      response.end();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    onTestFinished(() => {
      client.destroy();
      server.close();
    });
    const stream = client.request({ ":path": "/" });
    const [head] = (await once(stream, "response")) as [http2.IncomingHttpHeaders & { ":status": number }];
    let body = "";
    for await (const chunk of stream.setEncoding("utf8")) body += String(chunk);
    expect([head[":status"], head["x-committed"], body]).toEqual([500, "gate", "gate failed"]);
  });

  it("is reported when the client has gone before, over HTTP/2", async () => {
    const gate = new TestGate("fails at once");
    const failed = new Promise((resolve) => (gate.answer = resolve));
    const server = http2.createServer((request, response) => {
      const held = holdResponse(response as never, gate);
      response.once("close", () => held.settle());
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    onTestFinished(() => {
      client.destroy();
      server.close();
    });
    const stream = client.request({ ":path": "/" });
    stream.on("error", () => {});
    await once(server, "request");
    stream.close(8);
    await failed;
  });
});
