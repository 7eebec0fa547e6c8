import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { Readable, Writable } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { connect, nodeHandler, type NodeListener } from "../../src/node.ts";
import { deferred } from "../support/barrier.ts";
import { GatedStore } from "../support/gated-store.ts";
import { serving } from "../support/serve.ts";

const down = new StoreUnavailableError("expected by the test");

function app(answer: NodeListener, onError?: (error: unknown, request: unknown, response: never) => unknown) {
  const store = new GatedStore();
  const manager = new SessionManager(store, { onError: onError ?? (() => {}) });
  const listener = nodeHandler(manager, (request, response) => {
    if (request.url !== "/plain") manager.sessionOf(request).set("key", 1);
    return answer(request, response);
  });
  return { store, manager, listener };
}

/** Sends a request, half-closes, and resolves to all that comes. */
function halfClosing(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(request));
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => (answer += chunk));
    socket.on("error", reject);
    socket.on("end", () => resolve(answer));
  });
}

const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

describe("a response that is held", () => {
  it("goes out whole when its connection is closed right after the end", async () => {
    for (const close of [
      (request: IncomingMessage) => request.socket.destroy(),
      (_: IncomingMessage, response: ServerResponse) => response.destroy(),
      (request: IncomingMessage) => request.socket.end(),
      (request: IncomingMessage) => request.socket.destroySoon(),
    ]) {
      const { store, listener } = app((request, response) => {
        response.end("whole");
        close(request, response);
      });
      await serving(listener, async ({ raw }) => {
        const { arrived, release } = store.hold();
        const answer = raw(GET);
        await arrived;
        release();
        expect(await answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*set-cookie: session=[^]*\r\n\r\nwhole$/i);
      });
    }
  });

  it("sends nothing when its connection is closed in the turn of a write, as in Node", async () => {
    const { store, listener } = app((request, response) => {
      response.write("begun");
      request.socket.destroy();
    });
    await serving(listener, async ({ raw }) => {
      expect(await raw(GET).catch(() => "")).toBe("");
      await expect.poll(() => store.writes).toBe(1);
    });
  });

  it("reaches a client that closes its half of the connection", async () => {
    const { store, listener } = app((_request, response) => response.end("whole"));
    await serving(listener, async ({ port }) => {
      const { arrived, release } = store.hold();
      const answer = halfClosing(port, GET);
      await arrived;
      await new Promise((resolve) => setImmediate(resolve));
      release();
      expect(await answer).toMatch(/\r\n\r\nwhole$/);
    });
  });

  it("waits for its turn in the pipeline, however long the commits take", async () => {
    const { store, listener } = app((request, response) => response.end(request.url));
    await serving(listener, async ({ raw }) => {
      const { arrived, release } = store.hold();
      const requests = ["/1", "/plain", "/2"].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n`);
      const answer = raw(`${requests.join("\r\n")}Connection: close\r\n\r\n`);
      await arrived;
      release();
      expect([...(await answer).matchAll(/\r\n\r\n\/(1|2|plain)/g)].map(([, body]) => body)).toEqual([
        "1",
        "plain",
        "2",
      ]);
    });
  });

  it("answers a failed commit in its turn, and those behind it", async () => {
    const { store, listener } = app((request, response) => response.end(request.url));
    store.failure = down;
    await serving(listener, async ({ raw }) => {
      const requests = ["/plain", "/1", "/2", "/plain"].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n`);
      const answer = await raw(`${requests.join("\r\n")}Connection: close\r\n\r\n`);
      expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
        "200",
        "500",
        "500",
        "200",
      ]);
    });
  });

  it("keeps a body that is longer than the high-water mark out of memory, and says so", async () => {
    let written = 0;
    const { store, listener } = app(async (_request, response) => {
      while (written < 200) {
        written++;
        if (!response.write("x".repeat(10_000))) await once(response, "drain");
      }
      response.end();
    });
    await serving(listener, async ({ get }) => {
      const { arrived, release } = store.hold();
      const answer = get("/");
      await arrived;
      await new Promise((resolve) => setImmediate(resolve));
      expect(written).toBeLessThan(10);
      release();
      expect((await (await answer).text()).length).toBe(2_000_000);
    });
  });

  it("says that it has ended to guards at once, and to a program that takes its output when that is there", async () => {
    const { store, manager } = app(() => {});
    const middleware = connect(manager);
    const request = Object.assign(new http.IncomingMessage(new net.Socket()), { method: "GET", url: "/" });
    const response = new http.ServerResponse(request);
    let output = "";
    const socket = new Writable({ write: (chunk, _encoding, done) => ((output += String(chunk)), done()) });
    response.assignSocket(socket as net.Socket);
    const { arrived, release } = store.hold();
    middleware(request, response, () => {
      manager.sessionOf(request).set("key", 1);
      response.end("body");
    });
    await arrived;
    expect([response.finished, response.headersSent, response.writableEnded, output]).toEqual([true, true, false, ""]);
    const finished = once(response, "finish");
    release();
    await finished;
    expect([response.writableEnded, response.getHeader("set-cookie")]).toEqual([
      true,
      [expect.stringMatching(/^session=/)],
    ]);
    expect(output).toMatch(/set-cookie: session=[^]*\r\n\r\nbody$/i);
  });

  it("ends no process when it is answered again while it waits, or later", async () => {
    const { store, listener } = app((_request, response) => {
      response.end("first");
      setImmediate(() => response.end("second"));
      setImmediate(() => response.write("third"));
    });
    await serving(listener, async ({ get }) => {
      const { arrived, release } = store.hold();
      const answer = get("/");
      await arrived;
      await new Promise((resolve) => setTimeout(resolve, 5));
      release();
      expect(await (await answer).text()).toBe("first");
    });
  });

  it("tells of a second answer in the turn of the first, and not later, as Node does", async () => {
    for (const isLater of [false, true]) {
      const seen: Record<string, string[]> = {};
      const answering = (name: string, request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
        const told: string[] = (seen[name] = []);
        response.on("error", (error: NodeJS.ErrnoException) => told.push(String(error.code)));
        response.end(request.url);
        const again = async (): Promise<void> => {
          if (isLater) await new Promise((resolve) => setImmediate(resolve));
          response.write("again", () => told.push("called back"));
          await new Promise((resolve) => setImmediate(resolve));
        };
        return again();
      };
      let held: Promise<unknown> | undefined;
      const { store, listener } = app((request, response) => void (held = answering("held", request, response)));
      await serving(listener, async ({ get }) => {
        const { arrived, release } = store.hold();
        const answer = get("/");
        await arrived;
        await held;
        release();
        expect((await answer).status).toBe(200);
      });
      let plain: Promise<unknown> | undefined;
      await serving(
        (request, response) => void (plain = answering("plain", request, response)),
        async ({ get }) => {
          await get("/");
          await plain;
        },
      );
      expect(seen["held"]).toEqual(seen["plain"]);
      expect(seen["plain"]?.length).toBe(isLater ? 1 : 2);
    }
  });

  it("leaves a listener that throws to the process, and the session stored", async () => {
    const { store, listener } = app((_request, response) => {
      response.on("prefinish", () => {
        throw new Error("expected by the test");
      });
      response.end("body");
    });
    const uncaught = new Promise((resolve) => {
      const others = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      process.once("uncaughtException", (error) => {
        for (const other of others) process.on("uncaughtException", other);
        resolve(error);
      });
    });
    await serving(listener, async ({ get }) => {
      const { release } = store.hold();
      const answer = get("/").catch(() => {});
      release();
      expect(await uncaught).toMatchObject({ message: "expected by the test" });
      expect(store.writes).toBe(1);
      void answer;
    });
  });
});

describe("a commit that fails", () => {
  const later = (_error: unknown, _request: unknown, response: ServerResponse): void => {
    setTimeout(() => response.writeHead(503, { "Content-Type": "text/plain" }).end("later"), 5);
  };

  it("is answered by an onError that takes the response, also by a timer", async () => {
    const { store, listener } = app((_request, response) => response.end("body"), later);
    store.failure = down;
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([503, "later"]);
    });
  });

  it("is answered before the connection closes that the application has closed", async () => {
    for (const close of [
      (request: IncomingMessage) => request.socket.destroySoon(),
      (request: IncomingMessage) => request.socket.end(),
    ]) {
      const { store, listener } = app((request, response) => {
        response.end("body");
        close(request);
      });
      store.failure = down;
      // What comes behind it in the pipeline has no answer.
      await serving(listener, async ({ raw }) => {
        expect(await raw(GET + GET)).toMatch(/^HTTP\/1\.1 500 [^]*\r\n\r\nInternal Server Error\n$/);
      });
    }
  });

  it("is answered in time when that onError leaves the response alone", async () => {
    const { store, listener } = app(
      (_request, response) => response.end("body"),
      (_error, _request, _response) => {},
    );
    store.failure = down;
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
    });
  });

  it("shows those who watch the application's response what the client got", async () => {
    const seen: unknown[] = [];
    let calledBack = false;
    const { store, listener } = app((_request, response) => {
      response.setHeader("ETag", "1");
      for (const event of ["finish", "close"]) {
        response.on(event, () => seen.push([event, response.statusCode, response.getHeader("ETag")]));
      }
      response.end("body", () => (calledBack = true));
    });
    store.failure = down;
    await serving(listener, async ({ get }) => {
      expect((await get("/")).status).toBe(500);
      await expect
        .poll(() => seen)
        .toEqual([
          ["finish", 500, undefined],
          ["close", 500, undefined],
        ]);
      expect(calledBack).toBe(true);
    });
  });

  it("drops what the application goes on writing, for as long as it likes", async () => {
    let writes = 0;
    const { store, listener } = app((_request, response) => {
      response.write("begun");
      const timer = setInterval(() => {
        response.write("more");
        if (++writes < 5) return;
        clearInterval(timer);
        response.end("end");
      }, 1);
    });
    store.failure = down;
    await serving(listener, async ({ get }) => {
      const response = await get("/");
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
      await expect.poll(() => writes).toBe(5);
      expect((await get("/plain")).status).toBe(200);
    });
  });

  it("is answered by a page longer than any buffer, also when the application has corked its response", async () => {
    const page = "x".repeat(300_000);
    const { store, listener } = app(
      (_request, response) => {
        response.cork();
        response.write("body");
      },
      (_error, _request, response: ServerResponse) => void Readable.from([page, page]).pipe(response),
    );
    store.failure = down;
    await serving(listener, async ({ get }) => {
      expect((await (await get("/")).text()).length).toBe(600_000);
    });
  });

  it("is an answer of each manager that could store, whichever the other one is", async () => {
    for (const failing of ["inner", "outer", "both"]) {
      const [outerStore, innerStore] = [new GatedStore(), new GatedStore()];
      if (failing !== "inner") outerStore.failure = down;
      if (failing !== "outer") innerStore.failure = down;
      const outer = new SessionManager(outerStore, { cookie: { name: "outer" }, onError: () => {} });
      const inner = new SessionManager(innerStore, { cookie: { name: "inner" }, onError: () => {} });
      const listener = nodeHandler(
        outer,
        nodeHandler(inner, (request, response) => {
          outer.sessionOf(request).set("key", 1);
          inner.sessionOf(request).set("key", 1);
          response.end("body");
        }),
      );
      await serving(listener, async ({ get }) => {
        const response = await get("/");
        expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
        const names = response.headers.getSetCookie().map((cookie) => cookie.split("=", 1)[0]);
        expect([failing, names]).toEqual([failing, { inner: ["outer"], outer: ["inner"], both: [] }[failing]]);
      });
    }
  });

  it("learns at once that its client has reset the connection", async () => {
    const closed = deferred<string>();
    const { store, listener } = app((request, response) => {
      response.end("never read");
      response.once("close", () => closed.resolve("closed"));
      request.resume();
    });
    await serving(listener, async ({ port }) => {
      const { arrived, release } = store.hold();
      onTestFinished(release);
      const socket = net.connect(port, "127.0.0.1", () => socket.write(GET));
      await arrived;
      socket.resetAndDestroy();
      expect(await closed.promise).toBe("closed");
      expect(store.writes).toBe(0);
    });
  });

  it("ends no process when it is destroyed and ended before its turn", async () => {
    const { listener } = app((request, response) => {
      if (request.url === "/plain") return setImmediate(() => response.end("first"));
      response.destroy();
      response.flushHeaders();
      response.end();
      return response.flushHeaders();
    });
    await serving(listener, async ({ raw }) => {
      const requests = ["GET /plain HTTP/1.1", "HEAD /1 HTTP/1.1"].map((line) => `${line}\r\nHost: x\r\n`);
      expect(await raw(`${requests.join("\r\n")}\r\n`)).toMatch(/\r\n\r\nfirst$/);
    });
  });

  it("leaves what others have put around the calls of its socket", async () => {
    const calls: string[] = [];
    const around = (socket: net.Socket, name: string): void => {
      const { destroy } = socket;
      socket.destroy = (...args) => {
        calls.push(name);
        return destroy.apply(socket, args);
      };
    };
    const { store, listener } = app((request, response) => {
      around(request.socket, "before");
      response.end("whole");
      around(request.socket, "meanwhile");
    });
    await serving(listener, async ({ raw }) => {
      const { arrived, release } = store.hold();
      const answer = raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      await arrived;
      release();
      expect(await answer).toMatch(/whole$/);
      await expect.poll(() => new Set(calls)).toEqual(new Set(["before", "meanwhile"]));
    });
  });

  it("leaves the connection as it was, for the next request", async () => {
    const { store, listener } = app((_request, response) => response.end("body"));
    await serving(listener, async ({ port }) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      onTestFinished(() => agent.destroy());
      const ask = (path: string): Promise<[number | undefined, boolean]> =>
        new Promise((resolve, reject) => {
          const request = http.get({ port, host: "127.0.0.1", path, agent }, (response) => {
            response.resume().on("end", () => resolve([response.statusCode, request.reusedSocket]));
          });
          request.on("error", reject);
        });
      store.failure = down;
      expect(await ask("/")).toEqual([500, false]);
      expect(await ask("/")).toEqual([500, true]);
      store.failure = undefined;
      expect(await ask("/")).toEqual([200, true]);
    });
  });
});

describe("what passes for a response", () => {
  const responses = {
    "an object, on upgrade": {},
    nothing: undefined,
    "one of a WebSocket server": {
      setHeader() {},
      getHeader() {},
      removeHeader() {},
      writeHead() {},
      write() {},
      end() {},
    },
  };
  for (const [title, response] of Object.entries(responses)) {
    it(`but can't carry a session lets it be read, and refuses changes: ${title}`, async () => {
      const store = new GatedStore();
      const manager = new SessionManager(store);
      const first = await manager.load();
      first.set("key", 1);
      const { setCookie = "" } = await manager.commit(first);
      const request = { headers: { cookie: setCookie.split(";", 1)[0] }, socket: {} } as never;
      await new Promise<void>((resolve) => connect(manager)(request, response as never, () => resolve()));
      const session = manager.sessionOf(request);
      expect(session.get("key")).toBe(1);
      expect(() => session.set("key", 2)).toThrow(/committed/);
    });
  }

  it("gets the error of a load that failed through next", async () => {
    class Failing extends GatedStore {
      override async find(): Promise<undefined> {
        throw down;
      }
    }
    const request = { headers: { cookie: `session=${"a".repeat(43)}` }, socket: {} } as never;
    const middleware = connect(new SessionManager(new Failing()));
    expect(await new Promise((resolve) => middleware(request, {} as never, resolve))).toBe(down);
  });
});

describe("a response of HTTP/2 that is held", () => {
  async function asking(listener: NodeListener, ...requests: (string | http2.OutgoingHttpHeaders)[]) {
    const server = http2.createServer(listener as never).listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    onTestFinished(() => {
      client.destroy();
      server.close();
    });
    return Promise.all(
      requests.map(async (request) => {
        const stream = client.request(typeof request === "string" ? { ":path": request } : request);
        const trailers: Record<string, unknown> = {};
        stream.on("trailers", (fields) => Object.assign(trailers, fields));
        const [head] = (await once(stream, "response")) as [http2.IncomingHttpHeaders & { ":status": number }];
        let body = "";
        for await (const chunk of stream.setEncoding("utf8")) body += String(chunk);
        return { head, body, trailers, cookies: head["set-cookie"] ?? [] };
      }),
    );
  }

  it("brings head, body and trailers with its cookie, by whichever call it begins", async () => {
    const answers: Record<string, (response: http2.Http2ServerResponse) => void> = {
      "/end": (response) => response.end("body"),
      "/head": (response) => (response.writeHead(200, { etag: "1" }), response.end("body")),
      "/stream": ({ stream }) => (stream.respond({ ":status": 200 }), stream.end("body")),
      "/trailers": (response) => (response.write("body"), response.addTrailers({ sum: "1" }), response.end()),
      "/many": (response) => {
        for (const letter of "body") response.write(letter);
        response.end();
      },
    };
    const { listener } = app((request, response) => answers[request.url ?? ""]?.(response as never));
    const seen = await asking(listener, ...Object.keys(answers));
    expect(seen.map(({ head, body, cookies }) => [head[":status"], body, cookies.length])).toEqual(
      Object.keys(answers).map(() => [200, "body", 1]),
    );
    expect(seen[3]?.trailers).toMatchObject({ sum: "1" });
  });

  it("says what Node says while it is held", async () => {
    const { store, listener } = app((_request, response) => {
      response.end("body");
      expect([response.headersSent, response.finished, response.writableEnded]).toEqual([true, true, true]);
      expect(() => response.setHeader("x-late", "1")).toThrow(/initiated/);
    });
    const { arrived, release } = store.hold();
    const answer = asking(listener, "/");
    await arrived;
    release();
    expect((await answer)[0]).toMatchObject({ body: "body", head: { ":status": 200 } });
  });

  it("is replaced by an error when the commit fails, or by what onError answers", async () => {
    const own = (_error: unknown, _request: unknown, response: ServerResponse): void => {
      response.writeHead(503, { "content-type": "text/html" });
      response.write("<h1>");
      response.end("sorry</h1>");
    };
    for (const [onError, expected] of [
      [undefined, [500, "Internal Server Error\n"]],
      [own, [503, "<h1>sorry</h1>"]],
    ] as const) {
      const seen: unknown[] = [];
      const { store, listener } = app((_request, response) => {
        response.setHeader("etag", "1");
        response.setHeader("x-frame-options", "DENY");
        response.on("finish", () => seen.push(response.statusCode));
        response.write("x".repeat(100_000), () => seen.push("called back"));
        response.end("body");
      }, onError);
      store.failure = down;
      const redirecting = app((_request, response) => {
        response.statusCode = 303;
        response.setHeader("content-location", "/");
        response.end();
      }, onError);
      redirecting.store.failure = down;
      for (const one of [listener, redirecting.listener]) {
        const [failed] = await asking(one, "/");
        expect([failed?.head[":status"], failed?.body, failed?.head["content-location"]]).toEqual([
          ...expected,
          undefined,
        ]);
      }
      const [answer] = await asking(listener, "/");
      expect([answer?.head["etag"], answer?.head["x-frame-options"]]).toEqual([undefined, "DENY"]);
      expect(seen).toEqual(["called back", expected[0], "called back", expected[0]]);
    }
  });

  it("is replaced by an error without a body, to HEAD or where onError sends none", async () => {
    const errors: unknown[] = [];
    for (const [onError, status] of [
      [undefined, 500],
      [(_error: unknown, _request: unknown, response: ServerResponse) => void response.writeHead(204).end(), 204],
      [
        (_error: unknown, _request: unknown, response: ServerResponse) => {
          response.statusCode = 302;
          response.end();
        },
        302,
      ],
    ] as const) {
      const closed: Promise<unknown>[] = [];
      const { store, listener } = app((_request, response) => {
        const { stream } = response as unknown as http2.Http2ServerResponse;
        stream.on("error", ({ code }: NodeJS.ErrnoException) => errors.push(code));
        closed.push(new Promise((resolve) => stream.once("close", resolve)));
        response.end();
      }, onError);
      store.failure = down;
      const [answer] = await asking(listener, { ":path": "/", ":method": onError === undefined ? "HEAD" : "GET" });
      expect([answer?.head[":status"], answer?.body]).toEqual([status, ""]);
      await Promise.all(closed);
    }
    // As Node itself says of a body in an answer to HEAD.
    expect(errors).toEqual(["ERR_STREAM_WRITE_AFTER_END"]);
  });

  it("is replaced by the error alone, whatever the application goes on writing", async () => {
    let goOn = (): void => {};
    const { store, listener } = app(
      (_request, response) => {
        response.write("begun");
        goOn = () => {
          response.write("more");
          response.end("end");
        };
      },
      (_error, _request, response: ServerResponse) => {
        response.write("sor");
        goOn();
        setImmediate(() => {
          goOn();
          response.end("ry");
        });
      },
    );
    store.failure = down;
    const [answer] = await asking(listener, "/");
    expect(answer?.body).toBe("sorry");
  });

  it("may be written to its stream, which sends the head by itself, and no byte of it gets into an error", async () => {
    for (const failing of [false, true]) {
      const { store, listener } = app(
        (request, response) => {
          const { stream } = response as unknown as http2.Http2ServerResponse;
          if (request.url === "/end") stream.end("whole");
          else if (request.url === "/cork") {
            stream.cork();
            stream.write("who");
            stream.end("le");
          } else if (request.url === "/pipe") Readable.from(["w", "ho", "le"]).pipe(stream);
          else if (request.url === "/later") {
            stream.respond({ ":status": 200 });
            setImmediate(() => stream.write("who"));
            setTimeout(() => stream.end("le"), 5);
          }
          if (request.url === "/trailers") {
            stream.removeAllListeners("wantTrailers");
            stream.on("wantTrailers", () => stream.sendTrailers({ "x-own": "1" }));
            stream.respond({ ":status": 200 }, { waitForTrailers: true });
            stream.end("whole");
          }
        },
        (_error, _request, response: ServerResponse) => {
          response.write("sor");
          setTimeout(() => response.end("ry"), 20);
        },
      );
      if (failing) store.failure = down;
      const paths = ["/end", "/cork", "/pipe", "/later", "/trailers"];
      for (const answer of await asking(listener, ...paths)) {
        expect([answer.body, answer.cookies.length]).toEqual(failing ? ["sorry", 0] : ["whole", 1]);
        expect(failing ? answer.trailers["x-own"] : undefined).toBeUndefined();
      }
    }
  });

  it("reaches the client whole when its stream is destroyed right after the end", async () => {
    for (const failing of [false, true]) {
      const { store, listener } = app((request, response) => {
        const { stream } = response as unknown as http2.Http2ServerResponse;
        response.end("body");
        if (request.url === "/close") stream.close();
        else {
          response.destroy();
          response.destroy();
          stream.destroy();
        }
      });
      if (failing) store.failure = down;
      const [closed] = await asking(listener, "/close");
      expect(closed?.head[":status"]).toBe(failing ? 500 : 200);
      expect(closed?.body).toBe(failing ? "Internal Server Error\n" : "body");
      const [answer] = await asking(listener, "/");
      expect([answer?.head[":status"], answer?.body]).toEqual(
        failing ? [500, "Internal Server Error\n"] : [200, "body"],
      );
    }
  });

  it("sends a file with its cookie, or resets the stream when the session can't be stored", async () => {
    const { store, listener } = app((_request, response) => {
      (response as unknown as http2.Http2ServerResponse).stream.respondWithFile("package.json", { ":status": 200 });
    });
    const [answer] = await asking(listener, "/");
    expect([JSON.parse(answer?.body ?? "{}").name, answer?.cookies.length]).toEqual(["pgstore", 1]);
    store.failure = down;
    await expect(asking(listener, "/")).rejects.toThrow(/NGHTTP2_INTERNAL_ERROR/);
  });

  it("stores the session, or reports that it could not, when its client has gone meanwhile or before", async () => {
    for (const [when, failing] of [
      ["meanwhile", false],
      ["meanwhile", true],
      ["before", false],
      ["before", true],
    ] as const) {
      const errors: unknown[] = [];
      let handled = (): void => {};
      const isHandled = new Promise<void>((resolve) => (handled = resolve));
      const { store, listener } = app(
        async (_request, response) => {
          const closed = once(response, "close");
          if (when === "meanwhile") response.write("body");
          handled();
          if (when === "before") await closed;
        },
        (error) => errors.push(error),
      );
      const { arrived, release } = store.hold();
      const server = http2.createServer(listener as never).listen(0, "127.0.0.1");
      await once(server, "listening");
      const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const stream = client.request({ ":path": "/" });
      stream.on("error", () => {});
      await isHandled;
      stream.close(8);
      await once(stream, "close");
      await arrived;
      store.failure = failing ? down : undefined;
      release();
      await expect.poll(() => [store.writes, errors]).toEqual(failing ? [0, [down]] : [1, []]);
      client.destroy();
      server.close();
    }
  });

  it("ends no process when its stream is destroyed, and then its client goes", async () => {
    const answers: Record<string, (response: http2.Http2ServerResponse) => void> = {
      "/write": (response) => response.write("begun") && response.destroy(),
      "/throw": (response) => {
        response.writeHead(200);
        throw new Error("expected");
      },
      "/empty": (response) => response.writeHead(204).end() && response.destroy(),
      "/session": (response) => response.end("body") && response.stream.session?.destroy(),
    };
    for (const path of Object.keys(answers)) {
      for (const [leaves, failing] of [
        ["the stream", false],
        ["the stream", true],
        ["the connection", false],
        ["the connection", true],
      ]) {
        const { store, listener } = app((request, response) =>
          answers[request.url ?? ""]?.(response as unknown as http2.Http2ServerResponse),
        );
        const { arrived, release } = store.hold();
        const server = http2.createServer(listener as never).listen(0, "127.0.0.1");
        const sessions: http2.ServerHttp2Session[] = [];
        server.on("session", (session) => sessions.push(session));
        await once(server, "listening");
        const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
        client.on("error", () => {});
        const stream = client.request({ ":path": path });
        stream.on("error", () => {});
        await arrived;
        const hasGone = sessions[0]?.destroyed === true ? undefined : once(sessions[0] as never, "close");
        if (leaves === "the stream") {
          stream.close(8);
          // The server has read what came before.
          await new Promise((resolve) => client.ping(resolve) || resolve(undefined));
        } else {
          client.destroy();
          await hasGone;
        }
        if (failing === true) store.failure = down;
        release();
        if (failing === false) await expect.poll(() => store.writes).toBe(1);
        client.destroy();
        await hasGone;
        await new Promise((resolve) => server.close(resolve));
      }
    }
  });

  it.each([0, 1, 2])(
    "waits for three managers, and tells of those that could store: the one at %i can't",
    async (failing) => {
      const managers = [0, 1, 2].map((place) => {
        const store = new GatedStore();
        if (place === failing) store.failure = down;
        return new SessionManager(store, { cookie: { name: `at${place}` }, onError: () => {} });
      });
      const work: NodeListener = (request, response) => {
        for (const manager of managers) manager.sessionOf(request).set("key", 1);
        response.write("bo");
        response.end("dy");
      };
      const listener = managers.reduceRight<NodeListener>((inner, manager) => nodeHandler(manager, inner), work);
      const [answer] = await asking(listener, "/");
      const names = answer?.cookies.map((cookie) => cookie.split("=", 1)[0]).toSorted();
      expect([answer?.head[":status"], names]).toEqual([500, ["at0", "at1", "at2"].toSpliced(failing, 1)]);
    },
  );

  it("merges its headers with those of the application", async () => {
    const { listener } = app((_request, response) => {
      response.setHeader("vary", "Accept");
      response.setHeader("cache-control", "public, max-age=60");
      response.setHeader("set-cookie", ["session=planted", "other=1"]);
      response.end("body");
    });
    const [answer] = await asking(listener, "/");
    expect(answer?.head["vary"]).toBe("Accept, Cookie");
    expect(answer?.head["cache-control"]).toMatch(/no-store/);
    expect(answer?.cookies.map((cookie) => cookie.split("=", 1)[0])).toEqual(["other", "session"]);
  });
});
