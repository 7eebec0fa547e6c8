import { type ServerResponse, validateHeaderName, validateHeaderValue } from "node:http";
import type { OpenHeaders } from "../../http/headers.ts";
import { discardEntityHeaders } from "../node-error.ts";
import { afterFailure, type HeadChange, nested, type ResponseGate } from "./gates.ts";
import { isCaptured } from "./http1-output.ts";
import { discard } from "./restart.ts";

const HELD = Symbol("pgstore deferred response");

type DeferredResponse = ServerResponse & { [HELD]?: DeferredHold };

/** The calls that a deferred response keeps and replays. */
interface Calls {
  writeHead(...args: unknown[]): ServerResponse;
  flushHeaders(): void;
  write(...args: unknown[]): boolean;
  end(...args: unknown[]): ServerResponse;
}

/**
 * Holds a response by keeping its calls until its sessions are committed. For responses without Node's `_writeRaw`, as
 * in Bun, in Deno, in Fastify's `inject` and in libraries.
 *
 * `writeHead` sends nothing. The first `write`, `end` or `flushHeaders` begins the commit. If the commit takes time, calls are kept with their
 * callbacks and replayed in order after it. Meanwhile `write` returns false, so that streams pause until "drain". If the commit fails,
 * the kept calls are discarded, as is everything that the application still writes. The error is answered on a proxy of the response.
 *
 * Why: docs/decisions/028-held-responses.md
 */
export class DeferredHold {
  readonly #response: ServerResponse;
  /** The sessions that wait for their commit. */
  #gate: ResponseGate;
  readonly #original: Calls;
  #state: "open" | "held" | "released" = "open";
  #head: HeadArguments | undefined;
  #kept: [name: "flushHeaders" | "write" | "end", args: unknown[]][] = [];
  #drainOwed = false;
  /** Number of the writer whose calls count. 0 is the application. Each failure raises it. */
  #writer = 0;
  #isPassing = false;
  /** Whether `end` was called and is kept. */
  #ended = false;
  #isOverridden = false;

  private constructor(response: DeferredResponse, gate: ResponseGate) {
    this.#response = response;
    this.#gate = gate;
    const { writeHead, write, end, flushHeaders } = response;
    this.#original = { writeHead, write, end, flushHeaders };
    response[HELD] = this;
    Object.assign(response, this.#callsOf(0));
  }

  /** Holds a response, or adds a gate to a response that is held already. */
  static hold(response: ServerResponse, gate: ResponseGate): DeferredHold {
    const { [HELD]: held } = response as DeferredResponse;
    if (held === undefined) return new DeferredHold(response, gate);
    held.#gate = nested(held.#gate, gate);
    return held;
  }

  /** Returns the response on which an error can be answered. A head that was written but not sent is discarded. */
  restart(): ServerResponse {
    if (this.#state === "open") this.#head = undefined;
    return this.#response;
  }

  /** Commits without an answer when the client disconnects after the handler has finished and before the first byte. */
  settle(): void {
    if (this.#state !== "open" || this.#response.writableEnded) return;
    if (this.#response.destroyed) this.#begin();
    else this.#response.once("close", () => this.settle());
  }

  #callsOf(writer: number): Calls {
    const response = this.#response;
    // A response may implement one of these calls by calling another, which must pass.
    const isOver = (): boolean => writer !== this.#writer && !this.#isPassing;
    /** Begins the commit at the first bytes. False when another writer has taken over, which a failed commit may have caused. */
    const mayWrite = (): boolean => {
      if (!isOver() && this.#state === "open") this.#begin();
      return !isOver();
    };
    return {
      writeHead: (...args) => (isOver() ? response : this.#writeHead(args as HeadArguments)),
      flushHeaders: () => (mayWrite() ? this.#flushHeaders() : undefined),
      write: (...args) => (mayWrite() ? this.#write(args) : discard(...args)),
      end: (...args) => {
        if (mayWrite()) this.#end(args);
        else discard(...args);
        return response;
      },
    };
  }

  #pass<Name extends keyof Calls>(name: Name, args: unknown[]): ReturnType<Calls[Name]> {
    const call = this.#original[name] as (...args: unknown[]) => ReturnType<Calls[Name]>;
    const before = this.#isPassing;
    this.#isPassing = true;
    try {
      return call.apply(this.#response, args);
    } finally {
      this.#isPassing = before;
    }
  }

  #writeHead(next: HeadArguments): ServerResponse {
    const response = this.#response;
    if (this.#state === "released") return this.#pass("writeHead", next);
    if (this.#head !== undefined || this.#state === "held") {
      // Older middleware repeats writeHead with the same status. Node throws for any other head.
      if (next.length === 1 && next[0] === response.statusCode) return response;
      throw Object.assign(new Error("Cannot write headers after they are sent to the client"), {
        code: "ERR_HTTP_HEADERS_SENT",
      });
    }
    checkHead(next);
    this.#head = next;
    response.statusCode = next[0];
    this.#overrideState();
    return response;
  }

  #flushHeaders(): void {
    if (this.#state === "held") this.#kept.push(["flushHeaders", []]);
    else this.#pass("flushHeaders", []);
  }

  #write(args: unknown[]): boolean {
    if (this.#state === "released") return this.#pass("write", args);
    this.#drainOwed = true;
    this.#kept.push(["write", args]);
    return false;
  }

  #end(args: unknown[]): void {
    if (this.#state === "released") {
      this.#pass("end", args);
      return;
    }
    this.#ended = true;
    this.#kept.push(["end", args]);
  }

  #begin(): void {
    const gate = this.#gate;
    const commit = gate.commit();
    if (!(commit instanceof Promise)) {
      this.#passHead(commit);
      return;
    }
    this.#state = "held";
    this.#overrideState();
    commit.then(
      (change) => this.#release(gate, change),
      (error: unknown) => this.#fail(gate, error),
    );
  }

  #passHead(change: HeadChange | undefined): void {
    const response = this.#response;
    this.#state = "released";
    if (change !== undefined && !response.headersSent) {
      if (this.#head !== undefined) foldHeaders(response, this.#head);
      change.applyTo(openHeaders(response));
    }
    if (this.#head !== undefined) this.#pass("writeHead", this.#head);
  }

  #release(gate: ResponseGate, change: HeadChange | undefined): void {
    const response = this.#response;
    try {
      this.#passHead(change);
      for (let kept = this.#kept.shift(); kept !== undefined; kept = this.#kept.shift()) this.#pass(...kept);
    } catch (error) {
      // Without the hold, the application's own call would have thrown this error.
      if (response.headersSent) response.destroy();
      this.#fail(gate, error, change);
      return;
    }
    if (!response.writableNeedDrain) this.#settleDrain();
  }

  #settleDrain(): void {
    const isOwed = this.#drainOwed && !this.#ended;
    this.#drainOwed = false;
    if (isOwed && !this.#response.destroyed) this.#response.emit("drain");
  }

  #fail(gate: ResponseGate, cause: unknown, released?: HeadChange): void {
    const response = this.#response;
    const head = this.#head;
    this.#gate = afterFailure(gate, released);
    this.#head = undefined;
    this.#state = "open";
    this.#writer++;
    if (head !== undefined && !response.headersSent) foldHeaders(response, head);
    discardEntityHeaders(response);
    // Discarded writes still call back, so that no stream hangs.
    for (const [, args] of this.#kept.splice(0)) discard(...args);
    this.#settleDrain();
    this.#ended = false;
    gate.fail(cause, this.#answerOf(this.#writer));
  }

  /** Returns a proxy of the response on which the error is answered. */
  #answerOf(writer: number): ServerResponse {
    const calls = this.#callsOf(writer);
    return new Proxy(this.#response, {
      get(response, name) {
        if (Object.hasOwn(calls, name)) return calls[name as keyof Calls];
        const value: unknown = Reflect.get(response, name, response);
        return typeof value === "function" ? (value.bind(response) as unknown) : value;
      },
      set: (response, name, value) => Reflect.set(response, name, value, response),
    });
  }

  /** Whether the head counts as sent although it is kept. */
  get #isKeeping(): boolean {
    return this.#state === "held" || (this.#state === "open" && this.#head !== undefined);
  }

  /**
   * Gives `headersSent`, `finished` and `writableEnded` the values that they would have without the hold, while calls
   * are kept.
   */
  #overrideState(): void {
    if (this.#isOverridden) return;
    this.#isOverridden = true;
    const response = this.#response;
    const fromClass = (name: "headersSent" | "writableEnded" | "finished"): boolean =>
      Reflect.get(Object.getPrototypeOf(response) as object, name, response) as boolean;
    // Node has a plain property here, HTTP/2 an accessor.
    let finished = Object.getOwnPropertyDescriptor(response, "finished")?.value as boolean | undefined;
    Object.defineProperties(response, {
      headersSent: {
        configurable: true,
        enumerable: true,
        get: () => this.#isKeeping || fromClass("headersSent"),
      },
      writableEnded: {
        configurable: true,
        enumerable: true,
        get: () => (this.#isKeeping ? this.#ended && !isCaptured(response) : fromClass("writableEnded")),
      },
      finished: {
        configurable: true,
        get: () => (this.#isKeeping ? this.#ended : (finished ?? fromClass("finished"))),
        set: (value: boolean) => {
          finished = value;
        },
      },
    });
  }
}

/** The arguments of `writeHead`. */
type HeadArguments = [status: number, reason?: unknown, headers?: unknown];

/** Returns the headers among the arguments of writeHead. */
function headersOf([, reason, last]: HeadArguments): [name: string, value: unknown][] {
  const headers = typeof reason === "string" ? last : (last ?? reason);
  if (typeof headers !== "object" || headers === null) return [];
  if (!Array.isArray(headers)) return Object.entries(headers);
  // Node also accepts a list of pairs. In a flat list, a value may itself be a list.
  const flat: unknown[] = Array.isArray(headers[0]) ? headers.flat(1) : headers;
  return flat.flatMap((name, index) => (index % 2 === 0 ? [[String(name), flat[index + 1]]] : []));
}

/**
 * Checks a head as Node does when it sends it, and converts the status to a number.
 *
 * @throws RangeError when the status is invalid; TypeError when a header is
 */
function checkHead(head: HeadArguments): void {
  // Node accepts "200" as well.
  const status = (head[0] |= 0);
  if (status < 100 || status > 999) {
    throw Object.assign(new RangeError(`Invalid status code: ${status}`), { code: "ERR_HTTP_INVALID_STATUS_CODE" });
  }
  for (const [name, value] of headersOf(head)) {
    validateHeaderName(name);
    for (const one of [value].flat()) validateHeaderValue(name, one as string);
  }
}

/** Moves the headers of a writeHead call into the response, as Node would, so that the session's can be added. Changes `head`. */
function foldHeaders(response: ServerResponse, head: HeadArguments): void {
  const headers = headersOf(head);
  head.splice(1, 2, ...(typeof head[1] === "string" ? [head[1]] : []));
  for (const [name] of headers) response.removeHeader(name);
  for (const [name, value] of headers) {
    const present = response.getHeader(name);
    response.setHeader(name, present === undefined ? (value as string) : [present, value].flat().map(String));
  }
}

/** Returns the headers of a response whose head is not fixed yet. */
function openHeaders(response: ServerResponse): OpenHeaders {
  const values = (name: string): string[] => [response.getHeader(name) ?? []].flat().map(String);
  return {
    get: (name) => values(name).join(", ") || null,
    set: (name, value) => void response.setHeader(name, value),
    append: (name, value) => void response.setHeader(name, [...values(name), value]),
    delete: (name) => response.removeHeader(name),
    keys: () => response.getHeaderNames(),
    getSetCookie: () => values("Set-Cookie"),
  };
}
