import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { HeadText, currentTurn, findHead, type Http1Response, type Piece } from "./head.ts";
import { guard, unguard } from "./socket.ts";
import { type GateFailure, isCaptured, type ResponseGate, ResponseGates } from "./gates.ts";
import { discard, finishWith, ghostOf, startOver, StreamDestroyedError, swallow } from "./restart.ts";

const HELD = Symbol("pgstore held response");

type HeldResponse = Http1Response & { [HELD]?: Http1Hold };

const node = ServerResponse.prototype as Http1Response;

/**
 * Holds an HTTP/1 response back until its sessions are committed: its bytes, not its calls.
 *
 * Every call of the application goes to Node's own response, through whatever wraps it, and Node answers it: it builds and
 * freezes the head, checks, throws, counts and corks as ever. Only where the bytes would go to the socket, in `_writeRaw`,
 * they are kept instead, in the queue in which Node keeps a pipelined response that waits for its turn. The first bytes
 * begin the commit. When it is done, the text of the head gets what the sessions add, and Node flushes the queue with the
 * callbacks, "drain" and "finish" that belong to it.
 *
 * When a commit fails, the queue is emptied, and the application's response swallows what still comes. Another response
 * answers the error on the same socket. When that one has finished, so has the application's.
 *
 * | state    | its bytes        | begins when                                                                 |
 * | -------- | ---------------- | --------------------------------------------------------------------------- |
 * | open     | none have come   |                                                                             |
 * | held     | are kept         | the first bytes come, and the commits take time                             |
 * | released | go to the socket | the commits are done                                                        |
 * | dead     | are swallowed    | a commit fails, or the application does when its head is fixed but not sent |
 *
 * Why: docs/decisions/028-held-responses.md
 */
export class Http1Hold {
  readonly #response: HeldResponse;
  readonly #request: IncomingMessage;
  readonly #gates: ResponseGates;
  #state: "open" | "held" | "released" | "dead" = "open";
  /** The piece that begins with the head. */
  #first: Piece | undefined;
  /** Calls that were to close the connection while bytes were kept that go out before. */
  #closing: (() => void)[] | undefined;
  /** The response that answers in place of a dead one, until it has finished. */
  #answer: ServerResponse | undefined;
  #emit: ServerResponse["emit"] = node.emit;
  #count: ((bytes: number) => void) | undefined;
  /** The turn in which the last piece came. */
  #turn = 0;
  /** The error of a second answer, to be emitted after the first one has gone out. */
  #late: unknown[] | undefined;
  /** The number of pieces that Node would have sent. */
  #uncorked = 0;
  /** The number of pieces that came before the end of the socket. Node never sends the others. */
  #beforeEnd = Infinity;

  private constructor(response: ServerResponse, request: IncomingMessage, gates: ResponseGates) {
    const held = response as HeldResponse;
    this.#response = held;
    this.#request = request;
    this.#gates = gates;
    held[HELD] = this;
    held._writeRaw = takeRaw;
  }

  /** Holds a response, or adds a gate to one that is held already. */
  static hold(response: ServerResponse, request: IncomingMessage, gate: ResponseGate): Http1Hold {
    const { [HELD]: held } = response as HeldResponse;
    if (held === undefined) return Http1Hold.#hold(response, request, new ResponseGates(gate));
    held.#gates.add(gate);
    return held;
  }

  static #hold(response: ServerResponse, request: IncomingMessage, gates: ResponseGates): Http1Hold {
    return new Http1Hold(response, request, gates);
  }

  /** The response on which an error can be answered: another one, when the head is fixed but has not left. */
  restart(): ServerResponse {
    return this.#state === "open" && this.#response.headersSent ? this.#abandon() : this.#response;
  }

  /** Takes the bytes that Node's response would hand to the socket. */
  take(data: string | Uint8Array, encoding: unknown, callback: unknown, size?: number): boolean {
    const response = this.#response;
    const piece: Piece = { data, encoding, callback };
    if (this.#state === "open") {
      // Early hints and the like come before the head, and wait for nothing. An end without a head: the client has gone.
      if (!response._headerSent && !(response.destroyed && data.length === 0))
        return node._writeRaw.call(response, data, encoding, callback, size);
      this.#first = response._headerSent ? findHead(piece, response) : undefined;
      this.#begin();
    }
    if (this.#state === "held") return this.#keep(piece);
    if (this.#state === "released") return node._writeRaw.call(response, piece.data, encoding, callback, size);
    return discard(typeof encoding === "function" ? encoding : callback);
  }

  /** Commits without an answer when the handler is done and its client goes before the first byte. */
  settle(): void {
    if (this.#state !== "open" || this.#response.finished) return;
    if (this.#response.destroyed) this.#begin();
    else this.#response.once("close", () => this.settle());
  }

  /** Node calls it when the response's turn in the pipeline has come. */
  flush(): void {
    const { socket } = this.#response;
    if (this.#state === "held") this.#guard();
    else if (this.#answer !== undefined && socket !== null) this.#passOn(socket, this.#answer);
  }

  /** Puts a call off that closes the connection: what was written before it still reaches the client, as it does in Node. */
  close(name: "destroy" | "end", args: unknown[]): void {
    const { socket, finished } = this.#response;
    if (socket === null) return;
    const close = (): void => void (socket[name] as (...args: unknown[]) => unknown)(...args);
    const [error] = args as [{ syscall?: unknown } | undefined];
    // Nothing would reach the client when the network has failed, nor what Node gathers in this turn.
    if (error?.syscall !== undefined || (name === "destroy" && socket.writableCorked > 0 && !finished)) {
      this.#unguard();
      // As Node tells those who wait for a socket: after this turn, and before the request learns it.
      process.nextTick(() => this.#giveUp());
      close();
    } else {
      if (name === "end") this.#beforeEnd = Math.min(this.#beforeEnd, this.#response.outputData.length);
      (this.#closing ??= []).push(close);
    }
  }

  /** Whether "writableEnded" may be said to a program that takes the output then. */
  get isSettled(): boolean {
    return this.#state === "released" || (this.#state === "dead" && this.#answer === undefined);
  }

  /** Emits an event of a response that is held or dead, unless Node's own would be silent. */
  emit(event: string, args: unknown[]): boolean {
    const response = this.#response;
    // A dead response finishes when the answer in its place does.
    if (event === "finish" && this.#answer !== undefined) return false;
    // The client has gone: what waits for its bytes learns it before, as it does of Node.
    if (event === "close") {
      this.#giveUp();
      this.#tellLate();
    }
    const { code } = (args[0] ?? {}) as { code?: unknown };
    if (event !== "error" || code !== "ERR_STREAM_WRITE_AFTER_END") return this.#emit.call(response, event, ...args);
    if (response.listenerCount("error") === 0 || this.#state !== "held") return false;
    // Node is silent once its response is closed: after the turn of the end when it has the connection, or else never.
    if (response.socket === null) return this.#emit.call(response, event, ...args);
    if (this.#turn === currentTurn()) this.#late = args;
    return false;
  }

  #tellLate(): void {
    const late = this.#late;
    const response = this.#response;
    this.#late = undefined;
    if (late !== undefined && this.#state !== "dead" && response.listenerCount("error") > 0)
      this.#emit.call(response, "error", ...late);
  }

  #begin(): void {
    let commit: Promise<void> | undefined;
    try {
      commit = this.#gates.commit();
    } catch (failure) {
      this.#fail(failure as GateFailure);
      return;
    }
    if (commit === undefined) {
      this.#release();
      return;
    }
    this.#state = "held";
    if (this.#response.socket?.writable === false) this.#beforeEnd = 0;
    this.#takeOver();
    this.#guard();
    this.#stopCounting();
    commit.then(
      () => this.#resume(),
      (failure: GateFailure) => this.#fail(failure),
    );
  }

  /** Does what Node does with the bytes of a response whose turn has not come. */
  #keep(piece: Piece): boolean {
    const response = this.#response;
    const { socket } = response;
    // The destruction of its socket may have been put off. Without a socket Node keeps what comes.
    if (socket !== null && (response.destroyed || socket.destroyed)) return false;
    if (typeof piece.encoding === "function") Object.assign(piece, { encoding: null, callback: piece.encoding });
    response.outputData.push(piece);
    response.outputSize += piece.data.length;
    this.noteCork();
    this.#turn = currentTurn();
    return response.outputSize < response.writableHighWaterMark;
  }

  /** Puts what the sessions add into the head; from then on everything is Node's. */
  #release(): void {
    const response = this.#response;
    const first = this.#first;
    this.#first = undefined;
    this.#state = "released";
    response._writeRaw = node._writeRaw;
    if (first === undefined || this.#gates.isSilent) return;
    const before = response._header ?? "";
    const head = new HeadText(before, response);
    // Node takes no headers for as long as there is a head.
    response._header = null;
    try {
      this.#gates.change(head);
    } finally {
      response._header = head.text;
    }
    first.data = head.text + (first.data as string).slice(before.length);
    if (!response.outputData.includes(first)) return;
    const more = head.text.length - before.length;
    response.outputSize += more;
    response._onPendingData(more);
  }

  #resume(): void {
    const response = this.#response;
    const { socket } = response;
    this.#release();
    this.#unguard();
    response._flush = node._flush;
    if (response.emit === emitHeld) response.emit = this.#emit;
    try {
      if (socket?.destroyed === true) this.#giveUp();
      // What is destroyed and has not ended has no "drain" either, and without a socket nothing finishes it.
      else if (response.destroyed && !response.finished) {
        if (socket !== null) response._flushOutput(socket);
      } else if (socket?.writable === true && socket.writableCorked > 0) this.#flushCorked(socket);
      else response._flush();
      this.#countAgain();
      process.nextTick(() => this.#tellLate());
      for (const close of this.#closing ?? []) close();
    } catch (error) {
      // A listener of the application has thrown: that is no failure of the commit.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  /** Notes how much Node would have sent by now: it keeps what is written while the socket is corked. */
  noteCork(): void {
    const { socket, outputData } = this.#response;
    if (socket?.writableCorked === 0) this.#uncorked = outputData.length;
  }

  /** Sends what Node would have sent before somebody corked the socket, and leaves the rest in there. */
  #flushCorked(socket: Socket): void {
    const response = this.#response;
    const corks = socket.writableCorked;
    const rest = response.outputData.splice(this.#uncorked);
    const size = sizeOf(rest);
    response.outputSize -= size;
    for (let cork = 0; cork < corks; cork++) socket.uncork();
    // There is no "drain" before the rest has gone.
    if (rest.length === 0) response._flush();
    else response._flushOutput(socket);
    for (let cork = 0; cork < corks; cork++) socket.cork();
    response.outputData.push(...rest);
    response.outputSize += size;
    response._flushOutput(socket);
  }

  /** Tells the callbacks of what waits that the client has gone. */
  #giveUp(): void {
    const response = this.#response;
    // One whose turn had not come is told nothing by Node either.
    if (this.#state === "dead" || response.socket === null) return;
    const pieces = response.outputData.splice(0, this.#beforeEnd);
    const error = response.errored ?? response.socket?.errored ?? new StreamDestroyedError();
    response.outputSize = sizeOf(response.outputData);
    if (response.finished && pieces.length > 0 && response.outputData.length === 0) response._finish();
    for (const { callback } of pieces) {
      if (typeof callback === "function") callback(error);
    }
  }

  /**
   * Node counts what waits in a connection's responses, and says "drain" to the one whose turn it is when that changes. Ours has
   * its turn and waits all the same, so it is counted only if its turn comes later.
   */
  #stopCounting(): void {
    const response = this.#response;
    this.#count = response._onPendingData;
    if (response.outputSize > 0) this.#count(-response.outputSize);
    response._onPendingData = () => {};
  }

  #countAgain(): void {
    const response = this.#response;
    if (this.#count === undefined) return;
    response._onPendingData = this.#count;
    this.#count = undefined;
    // With a connection everything has gone, or never will: to say so would be a "drain".
    if (response.outputSize > 0 && response.socket === null) response._onPendingData(response.outputSize);
  }

  #fail({ gate, cause }: GateFailure): void {
    const answer = this.#abandon();
    gate.fail(cause, answer);
  }

  /** Lets another response answer, which is held for the sessions that still wait. */
  #abandon(): ServerResponse {
    const response = this.#response;
    const { socket } = response;
    this.#unguard();
    if (this.#state === "open") this.#takeOver();
    this.#state = "dead";
    swallow(response);
    const answer = startOver(response, this.#request);
    Http1Hold.#hold(answer, this.#request, this.#gates);
    this.#answer = answer;
    answer.once("finish", () => {
      this.#answer = undefined;
      finishWith(answer, response, this.#emit);
      for (const close of this.#closing ?? []) close();
    });
    if (socket !== null && (socket as { _httpMessage?: unknown })._httpMessage === response) {
      this.#passOn(socket, answer);
    }
    return answer;
  }

  #passOn(socket: Socket, answer: ServerResponse): void {
    const response = this.#response;
    response.detachSocket(socket);
    while (socket.writableCorked > 0) socket.uncork();
    answer.assignSocket(socket);
    Object.assign(response, { socket: ghostOf(socket) });
  }

  /** Answers for the response's events and its `writableEnded` while it is held. */
  #takeOver(): void {
    const response = this.#response;
    response._flush = flushHeld;
    this.#emit = response.emit;
    response.emit = emitHeld;
    if (isCaptured(response)) Object.defineProperty(response, "writableEnded", WRITABLE_ENDED);
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

// One function for all responses: others would cost each of them a closure, and make its shape its own.

function takeRaw(this: HeldResponse, data: string | Uint8Array, ...rest: [unknown, unknown, number?]): boolean {
  return (this[HELD] as Http1Hold).take(data, ...rest);
}

function flushHeld(this: HeldResponse): void {
  this[HELD]?.flush();
}

function emitHeld(this: HeldResponse, event: string | symbol, ...args: unknown[]): boolean {
  return (this[HELD] as Http1Hold).emit(event as string, args);
}

const WRITABLE_ENDED: PropertyDescriptor & ThisType<HeldResponse> = {
  configurable: true,
  get() {
    return this.finished && this[HELD]?.isSettled === true;
  },
};
