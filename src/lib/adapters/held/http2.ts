import type { ServerResponse } from "node:http";
import * as http2 from "node:http2";
import type { Http2ServerResponse, ServerHttp2Stream } from "node:http2";
import { Writable } from "node:stream";
import { type PackedHead, PackedHeaders } from "./packed-headers.ts";
import { classOf, discard, inherit } from "./restart.ts";
import { afterFailure, type HeadChange, nested, type ResponseGate } from "./gates.ts";

const HELD = Symbol("pgstore held stream");

/** The request by which Node ends a stream. */
interface Shutdown {
  oncomplete(status: number): void;
}

/** Node's native object below a stream. */
interface Handle {
  respond(head: PackedHead, options: number): number;
  /** Returns 1 when it was done synchronously. */
  shutdown(request: Shutdown): number;
  [HELD]?: Http2Hold | undefined;
}

type Sink = (error?: Error | null) => void;

/** The undocumented members of a stream that are used here. They are the same in every supported version of Node. */
type HeldStream = Omit<ServerHttp2Stream, "_write" | "_writev" | "_final" | "destroy"> & {
  _write(chunk: unknown, encoding: unknown, done: Sink): void;
  _writev(chunks: unknown, done: Sink): void;
  _final: ((done: Sink) => void) | null;
  destroy(error?: Error): unknown;
  _writableState: { highWaterMark: number };
};

/**
 * Holds the frames of an HTTP/2 response until its sessions are committed.
 *
 * The application's calls reach Node's own response and stream. The hold overrides the methods below them, which pass data to nghttp2:
 * `respond` and `shutdown` of the handle for the head, `_write`, `_writev` and `_final` of the stream for the body. So
 * `stream.respond()` is held as well as the compatibility API.
 *
 * 1. `respond` begins the commit. So does `writeHead`, which sends the head in HTTP/2. If the commit takes time, the
 *    head is kept, as is the one write that a stream has under way. `close()` and `destroy()` of the stream are
 *    deferred.
 * 2. After the commit, the session's headers are added to the head, and the kept calls are made.
 * 3. If a commit fails, everything written is discarded, and the stream begins anew with a second response, which answers the error.
 *
 * | state    | frames        | entered when                                 |
 * | -------- | ------------- | -------------------------------------------- |
 * | open     | none yet      | the hold begins                              |
 * | held     | are kept      | Node calls `respond` and a commit takes time |
 * | released | go to nghttp2 | every commit is done                         |
 * | dead     | are discarded | a commit fails                               |
 *
 * Why: docs/decisions/028-held-responses.md
 */
export class Http2Hold {
  readonly #response: Http2ServerResponse;
  readonly #stream: HeldStream;
  readonly #handle: Handle;
  /** The sessions that wait for their commit. */
  #gate: ResponseGate;
  #state: "open" | "held" | "released" | "dead" = "open";
  readonly #flags: unknown;
  #head: [PackedHead, number] | undefined;
  /** The end of an answer without a body, which Node requests before it sends the head. */
  #end: Shutdown | undefined;
  /** Sends the kept write. */
  #pending: (() => void) | undefined;
  /** Finishes the kept write without sending it. */
  #discard: Sink | undefined;
  #methods: Pick<HeldStream, "_write" | "_writev" | "_final" | "close" | "destroy"> | undefined;
  /** Deferred calls that close or destroy the stream. They run after the kept frames were sent. */
  #closing: (() => void)[] = [];

  private constructor(response: Http2ServerResponse, handle: Handle, gate: ResponseGate) {
    this.#response = response;
    this.#stream = response.stream as unknown as HeldStream;
    this.#handle = handle;
    this.#gate = gate;
    this.#flags = hidden<{ flags: unknown }>(this.#stream, "state")?.flags;
    handle[HELD] = this;
    handle.respond = respondHeld;
    handle.shutdown = shutdownHeld;
    Object.assign(this.#stream, HEAD_FIRST);
  }

  /**
   * Holds a response, or adds a gate to a response that is held already. Undefined if the stream's native handle is not known, or another
   * copy of pgstore holds it.
   */
  static hold(response: ServerResponse, gate: ResponseGate): Http2Hold | undefined {
    // Other runtimes may lack this class in their node:http2.
    const { Http2ServerResponse: Compatible } = http2 as Partial<typeof http2>;
    if (Compatible === undefined || !(response instanceof Compatible)) return undefined;
    const handle = hidden<Handle>(response.stream ?? {}, "kHandle");
    if (typeof handle?.respond !== "function") return undefined;
    const { [HELD]: held, respond } = handle;
    if (held === undefined) {
      const { respond: nodes } = Object.getPrototypeOf(handle) as Handle;
      return respond === nodes || respond === respondHeld ? new Http2Hold(response, handle, gate) : undefined;
    }
    held.#gate = nested(held.#gate, gate);
    return held;
  }

  /** Returns the response itself: in HTTP/2 a fixed head is already being sent, so no second response is possible. */
  restart(): ServerResponse {
    return this.#response as unknown as ServerResponse;
  }

  /** Commits without an answer when the client disconnects after the handler has finished and before the first byte. */
  settle(): void {
    if (this.#state !== "open") return;
    if (!this.#stream.destroyed) {
      this.#stream.once("close", () => this.settle());
      return;
    }
    const gate = this.#gate;
    this.#state = "released";
    const commit = gate.commit();
    if (commit instanceof Promise) commit.catch((error: unknown) => gate.fail(error, this.restart()));
  }

  /** Takes the head that Node would pass to nghttp2. */
  take(head: PackedHead, options: number): number {
    if (this.#state !== "open") return this.#send(head, options);
    const gate = this.#gate;
    const commit = gate.commit();
    if (!(commit instanceof Promise)) {
      this.#state = "released";
      return this.#send(head, options, commit);
    }
    this.#head = [head, options];
    this.#keep();
    commit.then(
      (change) => this.#resume(change),
      (error: unknown) => this.#fail(gate, error),
    );
    return 0;
  }

  /** Keeps the end of the stream until the head is sent. */
  shutDown(request: Shutdown): number {
    this.#end = request;
    return 0;
  }

  #send([fields, count]: PackedHead, options: number, change?: HeadChange): number {
    const handle = this.#handle;
    const { respond, shutdown } = Object.getPrototypeOf(handle) as Handle;
    Object.assign(handle, { respond, shutdown });
    const headers = change && new PackedHeaders(fields);
    if (headers !== undefined) change?.applyTo(headers);
    // Node ends the stream before it sends the head.
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
    // The stream must still report that it is open, because Node also asks when the client leaves.
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
    // A stream that sends a file has no _final.
    if (_final !== null) stream._final = (done) => wait(() => _final.call(stream, done), done);
  }

  /** Gives the stream back to Node. */
  #restore(): void {
    Object.assign(this.#stream, this.#methods);
  }

  #resume(change: HeadChange | undefined): void {
    const stream = this.#stream;
    this.#state = "released";
    this.#restore();
    if (!this.#isGone && this.#head !== undefined) {
      if (this.#send(...this.#head, change) < 0) stream.destroy(new Error("nghttp2 refused the response"));
      else this.#pending?.();
    }
    for (const close of this.#closing) close();
  }

  /** Says whether nghttp2 accepts nothing more because the client has reset the stream or the connection is closed. */
  get #isGone(): boolean {
    const { destroyed, closed, session } = this.#stream;
    return destroyed || closed || session === undefined || session.destroyed;
  }

  #fail(gate: ResponseGate, cause: unknown): void {
    const stream = this.#stream;
    this.#state = "dead";
    // nghttp2 has the bytes of a file already, and no other answer can come before them.
    if (this.#isGone || this.#methods?._final === null) {
      this.#restore();
      gate.fail(cause, this.restart());
      if (!this.#isGone) stream.close(2);
      for (const close of this.#closing) close();
      return;
    }
    const ignore = (...args: unknown[]): void => (args.at(-1) as Sink)();
    Object.assign(stream, { _write: ignore, _writev: ignore, _final: ignore });
    this.#discard?.();
    // By then, everything buffered was discarded.
    setImmediate(() => {
      this.#restore();
      gate.fail(cause, this.#isGone ? this.restart() : this.#startOver(afterFailure(gate)));
    });
  }

  /** Resets the stream to its initial state and creates the second response, which answers in place of the application's. */
  #startOver(gate: ResponseGate): ServerResponse {
    const response = this.#response;
    const stream = this.#stream;
    const { highWaterMark } = stream._writableState;
    const { WritableState } = Writable as unknown as { WritableState: new (...args: unknown[]) => never };
    const options = { decodeStrings: false, autoDestroy: false, highWaterMark };
    stream._writableState = new WritableState(options, stream, true);
    setState(stream, { flags: this.#flags, shutdownWritableCalled: false });
    // From now on only the second response may send trailers.
    stream.removeAllListeners("wantTrailers");
    const before = new Map(EVENTS.map((event) => [event, stream.listeners(event)]));
    const Response = classOf(response, http2.Http2ServerResponse) as unknown as new (stream: unknown) => ServerResponse;
    const answer = new Response(withoutApplication(stream));
    // Both responses would listen to the stream by the same functions, so each function is registered once.
    for (const [event, listeners] of before) {
      const added = stream.listeners(event).at(-1) as () => void;
      if (listeners.includes(added)) stream.removeListener(event, added);
    }
    inherit(answer, response as unknown as ServerResponse);
    // For the application the client has gone.
    setState(response, { closed: true, destroyed: true });
    answer.once("finish", () => {
      setState(response, { statusCode: answer.statusCode });
      response.emit("finish");
    });
    answer.once("close", () => response.emit("close"));
    this.#handle[HELD] = undefined;
    Http2Hold.hold(answer, gate);
    return answer;
  }
}

const EVENTS = ["drain", "aborted", "close", "wantTrailers", "timeout"] as const;

function respondHeld(this: Handle, head: PackedHead, options: number): number {
  return (this[HELD] as Http2Hold).take(head, options);
}

/** Methods of a stream that send the head before the first bytes. Node would send it in the middle of their write. */
const HEAD_FIRST = { _write: afterHead("_write"), _writev: afterHead("_writev") };

function afterHead(name: "_write" | "_writev"): (this: HeldStream, ...args: unknown[]) => void {
  return function write(...args) {
    const { [name]: own } = Object.getPrototypeOf(this) as HeldStream;
    if (!this.headersSent) this.respond();
    // The response may be held by now.
    if (this[name] === write) Object.assign(this, { [name]: own });
    Reflect.apply(this[name], this, args);
  };
}

/** Returns a proxy of the stream for the error's answer. Everything that the application writes to the stream itself is discarded from then on. */
function withoutApplication(stream: HeldStream): HeldStream {
  const discarding = { write: discard, end: (...args: unknown[]) => discard(...args) && stream };
  Object.assign(stream, discarding);
  let depth = 0;
  /** Removes the discarding methods during a call, because Node's methods call one another: `respond` ends an answer without a body. */
  const asAnswer = (call: () => unknown): unknown => {
    if (depth++ === 0) for (const name of Object.keys(discarding)) Reflect.deleteProperty(stream, name);
    try {
      return call();
    } finally {
      if (--depth === 0) Object.assign(stream, discarding);
    }
  };
  return new Proxy(stream, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      // Only the discarding methods are looked up during the call. Another hold may replace any other method by one
      // that calls it.
      const isDiscarding = Object.hasOwn(discarding, name);
      const method = (): Sink => (isDiscarding ? (Reflect.get(target, name, target) as Sink) : (value as Sink));
      return (...args: unknown[]) => asAnswer(() => Reflect.apply(method(), target, args));
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

function shutdownHeld(this: Handle, request: Shutdown): number {
  return (this[HELD] as Http2Hold).shutDown(request);
}

function setState(owner: object, values: Record<string, unknown>): void {
  Object.assign(hidden(owner, "state") ?? {}, values);
}

/** Returns the value that a stream or a response keeps under a symbol of Node's. */
function hidden<T extends object>(owner: object, description: string): T | undefined {
  const symbol = Object.getOwnPropertySymbols(owner).find((one) => one.description === description);
  return symbol && (owner as Record<symbol, T | undefined>)[symbol];
}
