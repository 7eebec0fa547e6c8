import { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
  currentTurn,
  findHead,
  guard,
  HeadText,
  type Http1Response,
  isCaptured,
  type Piece,
  streamDestroyed,
  unguard,
} from "./http1-output.ts";
import { afterFailure, type HeadChange, nested, type ResponseGate } from "./gates.ts";
import { discard, discardQueue, finishWith, standInFor, startOver } from "./restart.ts";

const HELD = Symbol("pgstore held response");

type HeldResponse = Http1Response & { [HELD]?: Http1Hold };

const node = ServerResponse.prototype as Http1Response;

/**
 * Holds the bytes of an HTTP/1 response until its sessions are committed.
 *
 * The application's calls reach Node's own response, through every wrapper. Node builds and freezes the head, checks, throws, counts
 * bytes and corks as usual. The hold overrides one method below that: `_writeRaw`, by which a response sends bytes to its socket.
 *
 * 1. The first bytes begin the commit. If it takes time, all bytes go into `outputData`, the queue in which Node keeps a pipelined response
 *    until its turn comes.
 * 2. After the commit, the session's headers are written into the text of the head, and Node flushes the queue. Node itself then calls
 *    the callbacks and emits "drain" and "finish".
 * 3. If a commit fails, the queue is emptied, and everything that the application still writes is discarded. A second response on the
 *    same socket answers the error. When it has finished, the application's response emits "finish".
 *
 * | state    | bytes            | entered when                                                                            |
 * | -------- | ---------------- | --------------------------------------------------------------------------------------- |
 * | open     | none yet         | the hold begins                                                                         |
 * | held     | are queued       | the first bytes come and a commit takes time                                            |
 * | released | go to the socket | every commit is done                                                                    |
 * | dead     | are discarded    | a commit fails, or the application fails after its head was fixed and before it is sent |
 *
 * Why: docs/decisions/028-held-responses.md
 */
export class Http1Hold {
  readonly #response: HeldResponse;
  /** The sessions that wait for their commit. */
  #gate: ResponseGate;
  #state: "open" | "held" | "released" | "dead" = "open";
  /** The piece that begins with the head. */
  #first: Piece | undefined;
  /** Deferred calls that close the connection. They run after the queued bytes were sent. */
  #closing: (() => void)[] | undefined;
  /** The second response, which answers in place of a dead one, until it has finished. */
  #answer: ServerResponse | undefined;
  #emit: ServerResponse["emit"] = node.emit;
  #count: ((bytes: number) => void) | undefined;
  /** The turn of the event loop in which the last piece came. */
  #turn = 0;
  /** The error of a second answer, to be emitted after the first answer was sent. */
  #late: unknown[] | undefined;
  /** Whether Node has emitted "finish" before the queued bytes were sent. */
  #owesFinish = false;
  /** Number of queued pieces that Node would have sent by now. */
  #uncorked = 0;
  /** Number of queued pieces that came before the end of the socket. Node never sends later ones. */
  #beforeEnd = Infinity;

  private constructor(response: ServerResponse, gate: ResponseGate) {
    const held = response as HeldResponse;
    this.#gate = gate;
    held[HELD] = this;
    // Node compares its responses by identity, so a proxy of one would not do.
    const { _httpMessage: own } = (held.socket ?? {}) as { _httpMessage?: HeldResponse };
    this.#response = own?.[HELD] === this ? own : held;
    held._writeRaw = takeRaw;
  }

  /** Holds a response, or adds a gate to a response that is held already. Undefined if another copy of pgstore holds its bytes. */
  static hold(response: ServerResponse, gate: ResponseGate): Http1Hold | undefined {
    const { [HELD]: held, _writeRaw } = response as HeldResponse;
    if (held === undefined) return _writeRaw === node._writeRaw ? new Http1Hold(response, gate) : undefined;
    held.#gate = nested(held.#gate, gate);
    return held;
  }

  /** Returns the response on which an error can be answered: a second one if the head is fixed but not sent. */
  restart(): ServerResponse {
    return this.#state === "open" && this.#response.headersSent ? this.#replaceResponse(this.#gate) : this.#response;
  }

  /** Takes the bytes that Node's response would send to the socket. */
  take(data: string | Uint8Array, encoding: unknown, callback: unknown, size?: number): boolean {
    const response = this.#response;
    const piece: Piece = { data, encoding, callback };
    if (this.#state === "open") {
      // Early hints and other bytes before the head are not held. An empty end of a destroyed response means that the client has gone.
      if (!response._headerSent && !(response.destroyed && data.length === 0))
        return node._writeRaw.call(response, data, encoding, callback, size);
      this.#first = response._headerSent ? findHead(piece, response) : undefined;
      this.#begin();
    }
    if (this.#state === "held") return this.#keep(piece);
    if (this.#state === "released") return node._writeRaw.call(response, piece.data, encoding, callback, size);
    return discard(typeof encoding === "function" ? encoding : callback);
  }

  /** Commits without an answer when the client disconnects after the handler has finished and before the first byte. */
  settle(): void {
    if (this.#state !== "open" || this.#response.finished) return;
    if (this.#response.destroyed) this.#begin();
    else this.#response.once("close", () => this.settle());
  }

  /** Called by Node when the response's turn in the pipeline has come. */
  flush(): void {
    const { socket } = this.#response;
    if (this.#state === "held") this.#guard();
    else if (this.#answer !== undefined && socket !== null) this.#handSocketTo(socket, this.#answer);
  }

  /** Defers a call that closes the connection, so that the bytes written before it still reach the client, as they do in Node. */
  close(name: "destroy" | "end", args: unknown[]): void {
    const { socket, finished } = this.#response;
    if (socket === null) return;
    const close = (): void => void (socket[name] as (...args: unknown[]) => unknown)(...args);
    const [error] = args as [{ syscall?: unknown } | undefined];
    // In Node no byte would reach the client after a network error, and bytes gathered in this turn would be lost.
    if (error?.syscall !== undefined || (name === "destroy" && socket.writableCorked > 0 && !finished)) {
      this.#unguard();
      // Node calls the callbacks of pending writes at this point, after this turn and before the request emits "close".
      process.nextTick(() => this.#failPending());
      close();
    } else {
      if (name === "end") this.#beforeEnd = Math.min(this.#beforeEnd, this.#response.outputData.length);
      (this.#closing ??= []).push(close);
    }
  }

  /** Emits an event of a held or dead response, unless Node would not emit it. */
  emit(event: string, args: unknown[]): boolean {
    const response = this.#response;
    // A dead response finishes when the second response does. A captured one may finish early, as its socket has no length.
    if (event === "finish") this.#owesFinish = this.#state === "held" && isCaptured(response);
    if (event === "finish" && (this.#owesFinish || this.#answer !== undefined)) return false;
    // The client has gone. As in Node, the callbacks of pending writes are called before "close".
    if (event === "close") {
      this.#failPending();
      this.#emitLate();
    }
    const { code } = (args[0] ?? {}) as { code?: unknown };
    if (event !== "error" || code !== "ERR_STREAM_WRITE_AFTER_END") return this.#emit.call(response, event, ...args);
    if (response.listenerCount("error") === 0 || this.#state !== "held") return false;
    // Node emits no error on a closed response. With a socket, a response closes after the turn of its end. Without one it never does.
    if (response.socket === null) return this.#emit.call(response, event, ...args);
    if (this.#turn === currentTurn()) this.#late = args;
    return false;
  }

  #emitLate(): void {
    const late = this.#late;
    const response = this.#response;
    this.#late = undefined;
    if (late !== undefined && this.#state !== "dead" && response.listenerCount("error") > 0)
      this.#emit.call(response, "error", ...late);
  }

  #begin(): void {
    const gate = this.#gate;
    const commit = gate.commit();
    if (!(commit instanceof Promise)) {
      this.#release(commit);
      return;
    }
    this.#state = "held";
    if (this.#response.socket?.writable === false) this.#beforeEnd = 0;
    this.#takeOver();
    this.#guard();
    this.#stopCounting();
    commit.then(
      (change) => this.#resume(change),
      (error: unknown) => gate.fail(error, this.#replaceResponse(afterFailure(gate))),
    );
  }

  /** Queues a piece, as Node does for a response whose turn in the pipeline has not come. */
  #keep(piece: Piece): boolean {
    const response = this.#response;
    const { socket } = response;
    // A destroyed response drops writes, even while its socket's destruction is deferred. Without a socket Node queues
    // it.
    if (socket !== null && (response.destroyed || socket.destroyed)) return false;
    if (typeof piece.encoding === "function") Object.assign(piece, { encoding: null, callback: piece.encoding });
    response.outputData.push(piece);
    response.outputSize += piece.data.length;
    this.noteCork();
    this.#turn = currentTurn();
    // The socket of a program that captures responses may have no high-water mark.
    return !(response.outputSize >= response.writableHighWaterMark);
  }

  /** Adds the sessions' headers to the head and gives the response back to Node. */
  #release(change: HeadChange | undefined): void {
    const response = this.#response;
    const first = this.#first;
    this.#first = undefined;
    this.#state = "released";
    response._writeRaw = node._writeRaw;
    if (first === undefined || change === undefined) return;
    const before = response._header ?? "";
    const head = new HeadText(before, response);
    // Node refuses headers while `_header` is set.
    response._header = null;
    try {
      change.applyTo(head);
    } finally {
      response._header = head.text;
    }
    first.data = head.text + (first.data as string).slice(before.length);
    if (!response.outputData.includes(first)) return;
    const more = head.text.length - before.length;
    response.outputSize += more;
    response._onPendingData(more);
  }

  #resume(change: HeadChange | undefined): void {
    const response = this.#response;
    const { socket } = response;
    this.#release(change);
    this.#unguard();
    response._flush = node._flush;
    if (response.emit === emitHeld) response.emit = this.#emit;
    try {
      if (socket?.destroyed === true) this.#failPending();
      // A response that was destroyed before its end emits no "drain", and never finishes without a socket.
      else if (response.destroyed && !response.finished) {
        if (socket !== null) response._flushOutput(socket);
      } else if (socket?.writable === true && socket.writableCorked > 0) this.#flushCorked(socket);
      else response._flush();
      if (this.#owesFinish) response.emit("finish");
      this.#countAgain();
      if (this.#late !== undefined) process.nextTick(() => this.#emitLate());
      for (const close of this.#closing ?? []) close();
    } catch (error) {
      // The error of an application's listener is not a failure of the commit.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  /** Notes how many pieces Node would have sent by now. It sends none while the socket is corked. */
  noteCork(): void {
    const { socket, outputData } = this.#response;
    if (socket?.writableCorked === 0) this.#uncorked = outputData.length;
  }

  /**
   * Sends the pieces that Node would have sent before the socket was corked, and writes the rest into the corked
   * socket.
   */
  #flushCorked(socket: Socket): void {
    const response = this.#response;
    const corks = socket.writableCorked;
    const rest = response.outputData.splice(this.#uncorked);
    const size = sizeOf(rest);
    response.outputSize -= size;
    for (let cork = 0; cork < corks; cork++) socket.uncork();
    // With a rest, `_flush` would emit "drain" too early.
    if (rest.length === 0) response._flush();
    else response._flushOutput(socket);
    for (let cork = 0; cork < corks; cork++) socket.cork();
    response.outputData.push(...rest);
    response.outputSize += size;
    response._flushOutput(socket);
  }

  /** Calls the callbacks of queued pieces with an error because the client has gone. */
  #failPending(): void {
    const response = this.#response;
    // Without a socket, in a pipeline, Node doesn't call them either.
    if (this.#state === "dead" || response.socket === null) return;
    const pieces = response.outputData.splice(0, this.#beforeEnd);
    const error = response.errored ?? response.socket?.errored ?? streamDestroyed();
    response.outputSize = sizeOf(response.outputData);
    if (response.finished && pieces.length > 0 && response.outputData.length === 0) response._finish();
    for (const { callback } of pieces) {
      if (typeof callback === "function") callback(error);
    }
  }

  /**
   * Stops counting this response's bytes as pending. Node counts the pending bytes of a connection's responses, and emits "drain" on the one
   * whose turn it is when the number changes. A held response may have its turn, so it must not be counted.
   */
  #stopCounting(): void {
    const response = this.#response;
    this.#count = response._onPendingData;
    if (response.outputSize > 0) this.#count(-response.outputSize);
    response._onPendingData = countNothing;
  }

  #countAgain(): void {
    const response = this.#response;
    if (this.#count === undefined) return;
    response._onPendingData = this.#count;
    this.#count = undefined;
    // With a socket nothing is pending any more, and the report would cause a "drain".
    if (response.outputSize > 0 && response.socket === null) response._onPendingData(response.outputSize);
  }

  /** Makes the response dead and creates the second response, which the gate holds. */
  #replaceResponse(gate: ResponseGate): ServerResponse {
    const response = this.#response;
    const { socket } = response;
    this.#unguard();
    if (this.#state === "open") this.#takeOver();
    this.#state = "dead";
    discardQueue(response);
    const answer = startOver(response);
    Http1Hold.hold(answer, gate);
    this.#answer = answer;
    answer.once("finish", () => {
      this.#answer = undefined;
      finishWith(answer, response, this.#emit);
      for (const close of this.#closing ?? []) close();
    });
    if (socket !== null && (socket as { _httpMessage?: unknown })._httpMessage === response) {
      this.#handSocketTo(socket, answer);
    }
    return answer;
  }

  #handSocketTo(socket: Socket, answer: ServerResponse): void {
    const response = this.#response;
    response.detachSocket(socket);
    while (socket.writableCorked > 0) socket.uncork();
    answer.assignSocket(socket);
    Object.assign(response, { socket: standInFor(socket) });
  }

  /** Overrides the response's events and its `writableEnded` while it is held. */
  #takeOver(): void {
    const response = this.#response;
    response._flush = flushHeld;
    this.#emit = response.emit;
    response.emit = emitHeld;
    if (!isCaptured(response)) return;
    // The program that has captured the response takes the output when this is true.
    const isOut = (): boolean => this.#state === "released" || (this.#state === "dead" && this.#answer === undefined);
    Object.defineProperty(response, "writableEnded", {
      configurable: true,
      get: () => response.finished && isOut(),
    });
  }

  #guard(): void {
    const { socket } = this.#response;
    if (socket !== null && !isCaptured(this.#response)) guard(socket, this);
  }

  #unguard(): void {
    unguard(this.#response.socket, this);
  }
}

function sizeOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { data }) => sum + data.length, 0);
}

// Functions shared by all responses. A closure for each response would cost memory and give each object its own shape.

function takeRaw(this: HeldResponse, data: string | Uint8Array, ...rest: [unknown, unknown, number?]): boolean {
  return (this[HELD] as Http1Hold).take(data, ...rest);
}

function flushHeld(this: HeldResponse): void {
  this[HELD]?.flush();
}

function countNothing(): void {}

function emitHeld(this: HeldResponse, event: string | symbol, ...args: unknown[]): boolean {
  return (this[HELD] as Http1Hold).emit(event as string, args);
}
