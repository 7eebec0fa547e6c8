import http2 from "node:http2";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { SessionManager } from "../../src/index.ts";
import { connect, nodeHandler } from "../../src/node.ts";
import { Interpreter, Log, type World } from "./interpreter.ts";
import { settle } from "./network.ts";
import type { Program } from "./program.ts";
import { BarrierStore, type Observation, setCrashListener, type StoreFate } from "./subjects.ts";

/** One side of a connection within the process. */
class Side extends Duplex {
  static passed = 0;
  other: Side | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    Side.passed++;
    this.other?.push(chunk);
    setImmediate(done);
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }
}

/** One run of a program on a response of HTTP/2's compatibility API; the network is always open. */
class Run2 implements World {
  readonly log = new Log(false);
  readonly program: Program;
  readonly isHeld: boolean;
  readonly #store: BarrierStore;
  isReleased = false;
  interpreter: Interpreter | undefined;
  done: Promise<void> | undefined;
  stream: http2.ClientHttp2Stream | undefined;

  constructor(program: Program, store: BarrierStore, isHeld: boolean) {
    this.program = program;
    this.isHeld = isHeld;
    this.#store = store;
  }

  async release(): Promise<void> {
    this.isReleased = true;
    this.#store.release();
    await this.settle();
  }

  stall(): void {}
  resume(): void {}
  turn(): void {}

  leave(how: "reset" | "halfClose"): void {
    if (how === "reset") this.stream?.close(http2.constants.NGHTTP2_CANCEL);
  }

  settle(): Promise<void> {
    return settle(() => Side.passed + this.log.lines.length);
  }
}

/** As `Subjects`, for HTTP/2. */
export class Subjects2 {
  readonly #store: BarrierStore;
  readonly #manager: SessionManager;
  readonly #clients = new Map<string, http2.ClientHttp2Session>();
  readonly #servers: Record<"plain" | "connect" | "nodeHandler", http2.Http2Server>;
  #current: Run2 | undefined;
  #count = 0;

  constructor() {
    this.#store = new BarrierStore();
    const manager = new SessionManager(this.#store, { onError: () => {} });
    this.#manager = manager;
    const middleware = connect(manager);
    type Listener = (request: IncomingMessage, response: ServerResponse) => void;
    const serve = (frame: (listener: Listener) => Listener): http2.Http2Server =>
      http2.createServer((request, response) => {
        const [theirs, ours] = [request, response] as unknown as [IncomingMessage, ServerResponse];
        const run = this.#current;
        if (run === undefined) return;
        run.interpreter = new Interpreter(run.program, ours, run, run.log);
        run.interpreter.install("outer");
        frame(() => this.#start(run, theirs))(theirs, ours);
      });
    this.#servers = {
      plain: serve((listener) => listener),
      connect: serve(
        (listener) => (request, response) => middleware(request, response, () => listener(request, response)),
      ),
      nodeHandler: serve((listener) => nodeHandler(manager, listener)),
    };
  }

  plain(program: Program): Promise<Observation> {
    return this.#run(new Run2(program, this.#store, false), "plain", "stores");
  }

  held(program: Program, fate: "stores" | "fails" = "stores"): Promise<Observation> {
    return this.#run(new Run2(program, this.#store, true), program.adapter, fate);
  }

  close(): void {
    for (const client of this.#clients.values()) client.destroy();
  }

  #start(run: Run2, request: IncomingMessage): void {
    if (run.isHeld && run.program.session !== "unused") {
      const session = this.#manager.sessionOf(request);
      if (run.program.session === "new") session.set("count", ++this.#count);
      else session.get("count");
    }
    run.interpreter?.install("inner");
    run.interpreter?.watch(request);
    run.done = Promise.resolve(run.interpreter?.run());
  }

  #clientOf(name: "plain" | "connect" | "nodeHandler"): http2.ClientHttp2Session {
    const present = this.#clients.get(name);
    if (present !== undefined && !present.closed && !present.destroyed) return present;
    const [near, far] = [new Side(), new Side()];
    near.other = far;
    far.other = near;
    this.#servers[name].emit("connection", far);
    const client = http2.connect("http://test", { createConnection: () => near });
    client.on("error", () => {});
    this.#clients.set(name, client);
    return client;
  }

  async #run(run: Run2, name: "plain" | "connect" | "nodeHandler", fate: StoreFate): Promise<Observation> {
    this.#current = run;
    setCrashListener((text) => run.log.add(text, "crash"));
    this.#store.hold(fate);
    const { program, log } = run;
    const stream = this.#clientOf(name).request({ ":method": program.method, ":path": "/program" });
    run.stream = stream;
    let heads = "";
    let body = "";
    let trailers = "";
    const head = (headers: http2.IncomingHttpHeaders): void => {
      heads += rendered(headers);
    };
    stream.on("headers", head);
    stream.on("response", head);
    stream.on("trailers", (headers) => (trailers += rendered(headers as Record<string, unknown>)));
    stream.on("data", (chunk: Buffer) => (body += chunk.toString("latin1")));
    stream.on("error", () => {});
    stream.end();
    for (let turns = 0; run.done === undefined && turns < 50; turns++) await run.settle();
    await run.done;
    await run.interpreter?.conclude();
    log.close();
    const { rstCode } = stream;
    // Where a body was cut is a matter of time.
    const text = `${heads}${rstCode ? "cut" : body}\r\n${trailers}closed with ${rstCode}`;
    stream.destroy();
    await settle(() => Side.passed);
    this.#store.release();
    this.#current = undefined;
    setCrashListener(undefined);
    return {
      log: log.lines,
      bytes: text,
      connection: "open",
      started: run.done !== undefined,
      wasCutOff: run.interpreter?.wasCutOff ?? false,
    };
  }
}

/** Headers in the form of HTTP/1, for the comparison's sake. */
function rendered(headers: Record<string, unknown>): string {
  const { ":status": status = "trailers", ...others } = headers;
  const lines = Object.entries(others).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name.replace(/(?:^|-)\w/g, (part) => part.toUpperCase())}: ${String(one)}\r\n`),
  );
  return `HTTP/1.1 ${String(status)} of HTTP/2\r\n${lines.join("")}\r\n`;
}
