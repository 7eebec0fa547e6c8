import type { ServerResponse } from "node:http";
import * as http2 from "node:http2";
import type { Http2ServerResponse, ServerHttp2Stream } from "node:http2";
import { Writable } from "node:stream";
import { type PackedHead, PackedHeaders } from "./packed-headers.ts";
import { discard } from "./restart.ts";
import { type GateFailure, type ResponseGate, ResponseGates } from "./gates.ts";
import { isEntityHeader } from "../response-headers.ts";

const HELD = Symbol("pgstore held stream");

/** Node's request to end a stream. */
interface Shutdown {
  oncomplete(status: number): void;
}

/** Node's own object below a stream. */
interface Handle {
  respond(head: PackedHead, options: number): number;
  /** 1: done at once. */
  shutdown(request: Shutdown): number;
  [HELD]?: Http2Hold | undefined;
}

type Sink = (error?: Error | null) => void;

/** The lower half of a stream: private by its names, and the same on each supported line of Node. */
type HeldStream = Omit<ServerHttp2Stream, "_write" | "_writev" | "_final" | "destroy"> & {
  _write(chunk: unknown, encoding: unknown, done: Sink): void;
  _writev(chunks: unknown, done: Sink): void;
  _final: ((done: Sink) => void) | null;
  destroy(error?: Error): unknown;
  _writableState: { highWaterMark: number };
};

/**
 * Holds a response of HTTP/2 back until its sessions are committed: its frames, not its calls.
 *
 * As with HTTP/1, Node's own response answers every call, and only what would go to nghttp2 waits: the head in the handle's
 * `respond`, the body in the stream's `_write`, of which the stream has one under way at a time. So `stream.respond()`
 * is held as well as the compatibility API. In HTTP/2 `writeHead` sends the head, and begins the commit.
 *
 * When a commit fails, what was written is discarded, and the stream begins anew with another response for the error.
 *
 * Why: docs/decisions/028-held-responses.md
 */
export class Http2Hold {
  readonly #response: Http2ServerResponse;
  readonly #stream: HeldStream;
  readonly #handle: Handle;
  readonly #gates: ResponseGates;
  #state: "open" | "held" | "released" | "dead" = "open";
  readonly #flags: unknown;
  #head: [PackedHead, number] | undefined;
  /** The end of an answer without a body, for which Node asks before it sends the head. */
  #end: Shutdown | undefined;
  /** The write that waits. */
  #pending: (() => void) | undefined;
  /** Ends the write that waits, without sending it. */
  #discard: Sink | undefined;
  #methods: Pick<HeldStream, "_write" | "_writev" | "_final" | "close" | "destroy"> | undefined;
  /** The application's calls that were to close or destroy the stream while frames were kept that go out before. */
  #closing: (() => void)[] = [];

  private constructor(response: Http2ServerResponse, handle: Handle, gates: ResponseGates) {
    this.#response = response;
    this.#stream = response.stream as unknown as HeldStream;
    this.#handle = handle;
    this.#gates = gates;
    this.#flags = privateState(this.#stream)?.["flags"];
    handle[HELD] = this;
    handle.respond = respondHeld;
    handle.shutdown = shutdownHeld;
    Object.assign(this.#stream, HEAD_FIRST);
  }

  /** Holds a response, or adds a gate to one that is held already. Undefined where the stream has no lower half that is known. */
  static hold(response: ServerResponse, gate: ResponseGate): Http2Hold | undefined {
    // Other runtimes have a node:http2 of their own, with or without it.
    const { Http2ServerResponse: Compatible } = http2 as Partial<typeof http2>;
    if (Compatible === undefined || !(response instanceof Compatible)) return undefined;
    const handle = handleOf(response);
    if (handle === undefined) return undefined;
    if (handle[HELD] === undefined) return new Http2Hold(response, handle, new ResponseGates(gate));
    handle[HELD].#gates.add(gate);
    return handle[HELD];
  }

  /** A head that is fixed is on its way. */
  restart(): ServerResponse {
    return this.#response as unknown as ServerResponse;
  }

  /** Commits without an answer when the handler is done and its client goes before the first byte. */
  settle(): void {
    if (this.#state !== "open") return;
    if (!this.#stream.destroyed) {
      this.#stream.once("close", () => this.settle());
      return;
    }
    this.#state = "released";
    const fail = ({ gate, cause }: GateFailure): void => gate.fail(cause, this.restart());
    try {
      this.#gates.commit()?.catch(fail);
    } catch (failure) {
      fail(failure as GateFailure);
    }
  }

  /** Takes the head that would go to nghttp2. */
  take(head: PackedHead, options: number): number {
    if (this.#state !== "open") return this.#send(head, options);
    let commit: Promise<void> | undefined;
    this.#head = [head, options];
    try {
      commit = this.#gates.commit();
    } catch (failure) {
      this.#keep();
      this.#fail(failure as GateFailure);
      return 0;
    }
    if (commit === undefined) {
      this.#state = "released";
      return this.#send(head, options);
    }
    this.#keep();
    commit.then(
      () => this.#resume(),
      (failure: GateFailure) => this.#fail(failure),
    );
    return 0;
  }

  /** Keeps the end back until the head is sent. */
  shutDown(request: Shutdown): number {
    this.#end = request;
    return 0;
  }

  #send([fields, count]: PackedHead, options: number): number {
    const handle = this.#handle;
    const { respond, shutdown } = Object.getPrototypeOf(handle) as Handle;
    Object.assign(handle, { respond, shutdown });
    const headers = this.#gates.isSilent ? undefined : new PackedHeaders(fields);
    if (headers !== undefined) this.#gates.change(headers);
    // In the order in which Node does it.
    const isDone = this.#end !== undefined && handle.shutdown(this.#end) === 1;
    const outcome = handle.respond(headers?.packed ?? [fields, count], options);
    if (isDone) this.#end?.oncomplete(0);
    return outcome;
  }

  #keep(): void {
    const stream = this.#stream;
    const { _final, close, destroy } = stream;
    const { _write, _writev } = Object.getPrototypeOf(stream) as HeldStream;
    this.#state = "held";
    this.#methods = { _write, _writev, _final, close, destroy };
    // The stream goes on saying that it is open: Node asks that, too, when the client leaves.
    stream.close = (...args) => {
      if (this.#isGone) close.apply(stream, args);
      else this.#closing.push(() => close.apply(stream, args));
    };
    stream.destroy = (error) => {
      if (this.#isGone) return destroy.call(stream, error);
      this.#closing.push(() => void destroy.call(stream, error));
      return stream;
    };
    const wait = (write: () => void, done: Sink): void => {
      this.#pending = write;
      this.#discard = done;
    };
    stream._write = (chunk, encoding, done) => wait(() => _write.call(stream, chunk, encoding, done), done);
    stream._writev = (chunks, done) => wait(() => _writev.call(stream, chunks, done), done);
    // A file that is sent has no end of ours.
    if (_final !== null) stream._final = (done) => wait(() => _final.call(stream, done), done);
  }

  /** From here on the stream is Node's again. */
  #restore(): void {
    Object.assign(this.#stream, this.#methods);
  }

  #resume(): void {
    const stream = this.#stream;
    this.#state = "released";
    this.#restore();
    if (!this.#isGone && this.#head !== undefined) {
      if (this.#send(...this.#head) < 0) stream.destroy(new Error("the response was refused by nghttp2"));
      else this.#pending?.();
    }
    for (const close of this.#closing) close();
  }

  /** The client has reset the stream, or the connection is closed: nghttp2 takes nothing more. */
  get #isGone(): boolean {
    const { destroyed, closed, session } = this.#stream;
    return destroyed || closed || session === undefined || session.destroyed;
  }

  #fail({ gate, cause }: GateFailure): void {
    const stream = this.#stream;
    this.#state = "dead";
    if (this.#isGone) {
      this.#restore();
      for (const close of this.#closing) close();
      gate.fail(cause, this.restart());
      return;
    }
    if (this.#methods?._final === null) {
      // The file's bytes are with nghttp2 already, and no other answer can come before them.
      this.#restore();
      gate.fail(cause, this.restart());
      stream.close(2);
      for (const close of this.#closing) close();
      return;
    }
    const swallow = (_chunk: unknown, _encoding: unknown, done: Sink): void => done();
    Object.assign(stream, {
      _write: swallow,
      _writev: (_: unknown, done: Sink) => done(),
      _final: (done: Sink) => done(),
    });
    this.#discard?.();
    // What was buffered runs through by then.
    setImmediate(() => {
      this.#restore();
      gate.fail(cause, this.#isGone ? this.restart() : this.#startOver());
    });
  }

  /** Gives the stream back its beginning, and makes the response that answers in place of the application's. */
  #startOver(): ServerResponse {
    const response = this.#response;
    const stream = this.#stream;
    const { highWaterMark } = stream._writableState;
    const { WritableState } = Writable as unknown as { WritableState: new (...args: unknown[]) => never };
    const options = { decodeStrings: false, autoDestroy: false, highWaterMark };
    stream._writableState = new WritableState(options, stream, true);
    setPrivate(stream, { flags: this.#flags, shutdownWritableCalled: false });
    // The trailers are the answer's now.
    stream.removeAllListeners("wantTrailers");
    const before = new Map(EVENTS.map((event) => [event, stream.listeners(event)]));
    const Response = http2.Http2ServerResponse as unknown as new (stream: unknown) => Http2ServerResponse;
    const answer = new Response(withoutApplication(stream));
    // Each response listens to its stream by the same functions.
    for (const [event, listeners] of before) {
      const added = stream.listeners(event).at(-1) as () => void;
      if (listeners.includes(added)) stream.removeListener(event, added);
    }
    Object.setPrototypeOf(answer, Object.getPrototypeOf(response) as object);
    for (const key of Object.keys(response)) {
      if (!Object.hasOwn(answer, key) && !(key in http2.Http2ServerResponse.prototype) && key !== "flush") {
        Object.assign(answer, { [key]: response[key as keyof Http2ServerResponse] });
      }
    }
    for (const [name, value] of Object.entries(response.getHeaders())) {
      if (value !== undefined && !isEntityHeader(name) && name[0] !== ":") answer.setHeader(name, value);
    }
    // To the application its client has gone.
    setPrivate(response, { closed: true, destroyed: true });
    answer.on("error", () => {});
    answer.once("finish", () => {
      setPrivate(response, { statusCode: answer.statusCode });
      response.emit("finish");
    });
    answer.once("close", () => response.emit("close"));
    this.#handle[HELD] = undefined;
    Http2Hold.#hold(answer, this.#handle, this.#gates);
    return answer as unknown as ServerResponse;
  }

  static #hold(response: Http2ServerResponse, handle: Handle, gates: ResponseGates): Http2Hold {
    return new Http2Hold(response, handle, gates);
  }
}

const EVENTS = ["drain", "aborted", "close", "wantTrailers", "timeout"] as const;

function respondHeld(this: Handle, head: PackedHead, options: number): number {
  return (this[HELD] as Http2Hold).take(head, options);
}

/** Methods of a stream that send the head before the first bytes, as Node would in the middle of their write. */
const HEAD_FIRST = { _write: afterHead("_write"), _writev: afterHead("_writev") };

function afterHead(name: "_write" | "_writev"): (this: HeldStream, ...args: unknown[]) => void {
  return function write(...args) {
    const { [name]: own } = Object.getPrototypeOf(this) as HeldStream;
    if (!this.headersSent) this.respond();
    // The response may be held since.
    if (this[name] === write) Object.assign(this, { [name]: own });
    Reflect.apply(this[name], this, args);
  };
}

/** Returns the stream for the answer of an error. What the application writes to the stream itself is discarded from now on. */
function withoutApplication(stream: HeldStream): HeldStream {
  const swallowing = { write: discard, end: (...args: unknown[]) => discard(...args) && stream };
  Object.assign(stream, swallowing);
  let depth = 0;
  /** Node's own methods call one another: an answer without a body is ended by `respond`. */
  const asAnswer = (call: () => unknown): unknown => {
    if (depth++ === 0) for (const name of Object.keys(swallowing)) Reflect.deleteProperty(stream, name);
    try {
      return call();
    } finally {
      if (--depth === 0) Object.assign(stream, swallowing);
    }
  };
  return new Proxy(stream, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => asAnswer(() => Reflect.apply(Reflect.get(target, name, target), target, args));
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

function shutdownHeld(this: Handle, request: Shutdown): number {
  return (this[HELD] as Http2Hold).shutDown(request);
}

function handleOf({ stream }: Http2ServerResponse): Handle | undefined {
  const symbol = Object.getOwnPropertySymbols(stream ?? {}).find(({ description }) => description === "kHandle");
  const handle = symbol && (stream as unknown as Record<symbol, Handle | undefined>)[symbol];
  return typeof handle?.respond === "function" ? handle : undefined;
}

/** What a stream, or a response, keeps of itself. */
function privateState(owner: object): Record<string, unknown> | undefined {
  const symbol = Object.getOwnPropertySymbols(owner).find(({ description }) => description === "state");
  return symbol && (owner as Record<symbol, Record<string, unknown> | undefined>)[symbol];
}

function setPrivate(owner: object, values: Record<string, unknown>): void {
  Object.assign(privateState(owner) ?? {}, values);
}
