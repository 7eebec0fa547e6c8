import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { MemoryStore, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { connect, nodeHandler } from "../../src/node.ts";
import { Interpreter, type Line, Log, type World } from "./interpreter.ts";
import { settle, Wire } from "./network.ts";
import type { Program } from "./program.ts";

/** What one run has shown. */
export interface Observation {
  /** Steps, events, callbacks. */
  log: Line[];
  /** What the client received, byte for a character. */
  bytes: string;
  /** "open", "ended" or "destroyed", as the server left the connection. */
  connection: string;
  /** Neither of the program's responses was called at all. */
  started: boolean;
  /** The application destroyed its response before it had ended. */
  wasCutOff: boolean;
}

/** How the store of a held response fares: it waits for `release` and then answers, or fails; `onError` may have a page. */
export type StoreFate = "stores" | "fails" | "fails with a page";

/** What `onError` answers that has a page. */
export const PAGE = "Sorry, come back later";

/** The status of answers that are not the program's. */
const OTHER_STATUS = 299;

/** A store whose writes wait for the run's release, and fail if they are to. */
export class BarrierStore extends MemoryStore {
  #released: Promise<void> = Promise.resolve();
  #release: () => void = () => {};
  fate: StoreFate = "stores";

  constructor() {
    super({ cleanupInterval: 0 });
  }

  hold(fate: StoreFate): void {
    this.fate = fate;
    this.#released = new Promise((resolve) => (this.#release = resolve));
  }

  release(): void {
    this.#release();
  }

  async #pass(): Promise<void> {
    await this.#released;
    if (this.fate !== "stores") throw new StoreUnavailableError("expected by the test");
  }

  override async create(...args: Parameters<MemoryStore["create"]>): Promise<boolean> {
    await this.#pass();
    return super.create(...args);
  }

  override async replace(id: string, previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    await this.#pass();
    return super.replace(id, previous, data, expiry);
  }
}

/** Wraps the listener of a subject: as it is, or in the session's middleware. */
type Frame = (listener: Listener, run: Run) => http.RequestListener;
type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** One run of a program on one kind of response. */
class Run implements World {
  readonly program: Program;
  readonly wire = new Wire();
  readonly log: Log;
  readonly #store: BarrierStore;
  isReleased = false;
  #isStalled = false;
  #other: ServerResponse | undefined;
  #hasTurned = false;
  interpreter: Interpreter | undefined;
  done: Promise<unknown> | undefined;
  /** The manager of a held response. */
  manager: SessionManager | undefined;
  /** What the program throws is left to the frame. */
  isLoose = false;

  constructor(program: Program, store: BarrierStore) {
    this.program = program;
    this.#store = store;
    this.log = new Log(program.network === "stalled");
    this.#flow();
  }

  async release(): Promise<void> {
    if (!this.isReleased) {
      // What else goes on, a pipe say, has come as far as it can.
      if (this.program.network === "stalled") await this.settle();
      this.isReleased = true;
      this.log.isStrict = false;
      // Nothing that the program does falls between the two.
      this.#flow();
      this.#store.release();
    }
    await this.settle();
  }

  stall(): void {
    this.#isStalled = true;
    this.#flow();
  }

  resume(): void {
    this.#isStalled = false;
    this.#flow();
  }

  /** The response before or after the program's own. */
  answerOther(response: ServerResponse): void {
    this.#other = response;
    response.statusCode = OTHER_STATUS;
    if (this.program.position === "first" || this.#hasTurned) response.end("other");
  }

  turn(): void {
    this.#hasTurned = true;
    if (this.program.position === "second" && this.#other?.finished === false) this.#other.end("other");
  }

  leave(how: "reset" | "halfClose"): void {
    if (how === "halfClose") this.wire.push(null);
    else this.wire.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", syscall: "read" }));
  }

  settle(): Promise<void> {
    return settle(() => this.wire.events + this.log.lines.length);
  }

  #flow(): void {
    this.wire.open((this.isReleased || this.program.network === "open") && !this.#isStalled);
  }
}

let current: Run | undefined;
let beyond: ((text: string) => void) | undefined;

/** Who is told of what nobody has caught. */
export function setCrashListener(listener: ((text: string) => void) | undefined): void {
  beyond = listener;
}

/** Everything needed to run programs on a plain and on a held response, in one process and without a network. */
export class Subjects {
  readonly #store = new BarrierStore();
  readonly #managers: Record<StoreFate, SessionManager>;
  readonly #cookie: string;
  readonly #servers: Record<"plain" | "connect" | "nodeHandler", http.Server>;
  #count = 0;

  private constructor(manager: SessionManager, store: BarrierStore, cookie: string) {
    const page = new SessionManager(store, {
      onError: (_error, _request, response) => {
        setImmediate(() => {
          (response as ServerResponse).writeHead(503, { "Retry-After": "1" });
          Readable.from([PAGE.slice(0, 5), PAGE.slice(5)]).pipe(response as ServerResponse);
        });
      },
    });
    this.#managers = { stores: manager, fails: manager, "fails with a page": page };
    this.#store = store;
    this.#cookie = cookie;
    this.#servers = {
      plain: this.#serve((listener) => listener),
      connect: this.#serve((listener, { manager }) => {
        if (manager === undefined) return listener;
        const middleware = connect(manager);
        return (request, response) => middleware(request, response, () => listener(request, response));
      }),
      nodeHandler: this.#serve((listener, { manager }) => (manager ? nodeHandler(manager, listener) : listener)),
    };
  }

  static async create(): Promise<Subjects> {
    const store = new BarrierStore();
    const manager = new SessionManager(store, { onError: () => {} });
    const session = await manager.load();
    session.set("count", 0);
    const { setCookie = "" } = await manager.commit(session);
    return new Subjects(manager, store, setCookie.split(";")[0] ?? "");
  }

  plain(program: Program): Promise<Observation> {
    return this.#run(program, new Run(program, this.#store), this.#servers.plain, "stores");
  }

  held(program: Program, fate: StoreFate = "stores"): Promise<Observation> {
    const run = new Run(program, this.#store);
    run.manager = this.#managers[fate];
    return this.#run(program, run, this.#servers[program.adapter], fate);
  }

  /** As `held`, with `nodeHandler`, to which is left what the program throws. */
  loose(program: Program): Promise<Observation> {
    const run = new Run(program, this.#store);
    run.manager = this.#managers.stores;
    run.isLoose = true;
    return this.#run(program, run, this.#servers.nodeHandler, "stores");
  }

  #serve(frame: Frame): http.Server {
    // Wrappers outside of the session come before the frame, the rest inside of it.
    return http.createServer({ keepAliveTimeout: 5000 }, (request, response) => {
      const run = current;
      if (run === undefined) return;
      const isOther = request.url === "/other";
      if (!isOther) {
        run.interpreter = new Interpreter(run.program, response, run, run.log);
        run.interpreter.install("outer");
      }
      const listener = (): unknown => {
        if (isOther) return run.answerOther(response);
        if (!hasCookie(run.program)) return this.#start(run, request);
        // A session that is loaded makes the handler begin later, in a promise's time; here both begin in their own.
        return new Promise((resolve) => void setImmediate(resolve)).then(() => this.#start(run, request));
      };
      frame(listener, run)(request, response);
    });
  }

  #start(run: Run, request: IncomingMessage): unknown {
    const { interpreter, program, manager } = run;
    if (interpreter === undefined) return undefined;
    if (manager !== undefined && program.session !== "unused") {
      const session = manager.sessionOf(request);
      if (program.session === "read") session.get("count");
      else session.set("count", ++this.#count);
    }
    interpreter.install("inner");
    interpreter.watch(request);
    run.done = Promise.resolve();
    const outcome = run.isLoose ? interpreter.runLoose() : interpreter.run();
    if (outcome instanceof Promise) run.done = outcome.catch(() => {});
    return outcome;
  }

  async #run(program: Program, run: Run, server: http.Server, fate: StoreFate): Promise<Observation> {
    current = run;
    beyond = (text) => run.log.add(text, "crash");
    this.#store.hold(fate);
    const { wire, log } = run;
    wire.on("error", () => {});
    server.emit("connection", wire);
    wire.push(requestsOf(program, this.#cookie));
    for (let turns = 0; run.done === undefined && turns < 50; turns++) await run.settle();
    await run.done;
    await run.interpreter?.conclude();
    const bytes = Buffer.concat(wire.arrived).toString("latin1");
    const connection = wire.destroyed ? "destroyed" : wire.ended ? "ended" : "open";
    log.close();
    wire.destroy();
    await settle(() => wire.events);
    this.#store.release();
    current = undefined;
    beyond = undefined;
    return {
      log: log.lines,
      bytes,
      connection,
      started: run.done !== undefined,
      wasCutOff: run.interpreter?.wasCutOff ?? false,
    };
  }
}

function hasCookie({ session }: Program): boolean {
  return session === "changed" || session === "read";
}

function requestsOf(program: Program, cookie: string): string {
  const { method, version, connection, position } = program;
  const headers = [
    "Host: test",
    ...(connection === "default" ? [] : [`Connection: ${connection}`]),
    ...(method === "POST" ? ["Content-Length: 4"] : []),
  ];
  const own = [
    `${method} /program HTTP/${version}`,
    ...headers,
    ...(hasCookie(program) ? [`Cookie: ${cookie}`] : []),
    "",
    method === "POST" ? "body" : "",
  ].join("\r\n");
  const other = "GET /other HTTP/1.1\r\nHost: test\r\n\r\n";
  if (position === "only") return own;
  return position === "first" ? own + other : other + own;
}

/**
 * Takes what nobody catches for an observation of the running program, instead of for the end of the process. Returns what
 * restores the former order.
 */
export function catchEverything(): () => void {
  const listeners = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  const onRejection = (reason: unknown): void => beyond?.(`unhandled rejection: ${String(reason)}`);
  process.on("unhandledRejection", onRejection);
  process.setUncaughtExceptionCaptureCallback((error) => beyond?.(`uncaught exception: ${String(error)}`));
  return () => {
    process.off("unhandledRejection", onRejection);
    for (const listener of listeners) process.on("unhandledRejection", listener);
    process.setUncaughtExceptionCaptureCallback(null);
  };
}
