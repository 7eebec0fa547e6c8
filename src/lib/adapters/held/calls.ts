import type { ServerResponse } from "node:http";
import { checkHead, discardEntityHeaders, foldHeaders, type HeadArguments, openHeaders } from "./head.ts";
import { type GateFailure, install, type Pretence, type ResponseGate, ResponseGates } from "./gates.ts";

const HELD = Symbol("pgstore deferred response");

type DeferredResponse = ServerResponse & { [HELD]?: DeferredHold };

/** The calls that are kept. */
interface Calls {
  writeHead(...args: unknown[]): ServerResponse;
  flushHeaders(): void;
  write(...args: unknown[]): boolean;
  end(...args: unknown[]): ServerResponse;
}

/**
 * Holds back a response whose bytes can't be got at, by its calls: that of Bun and Deno, of Fastify's `inject`, and whatever
 * libraries pass for a response.
 *
 * writeHead sends nothing yet; the first of write, end and flushHeaders begins the commit. When that takes time, calls are
 * kept, in order and with their callbacks, and made again when it is done; meanwhile `write` returns false, so that
 * streams pause, and "drain" follows. When the commit fails, what was kept is discarded, and so is what the application
 * still writes: the error is answered on an object of its own that passes for the response.
 */
export class DeferredHold {
  readonly #response: ServerResponse;
  readonly #gates: ResponseGates;
  readonly #original: Calls;
  #state: "open" | "held" | "released" = "open";
  #head: HeadArguments | undefined;
  #kept: { call: () => void; args: unknown[] }[] = [];
  #drainOwed = false;
  /** Who may write: 0 the application, each failure lets another one. */
  #writer = 0;
  #isPassing = false;
  readonly #pretence: Pretence = { active: false, ended: false };
  #installed = false;

  private constructor(response: DeferredResponse, gate: ResponseGate) {
    this.#response = response;
    this.#gates = new ResponseGates(gate);
    const { writeHead, write, end, flushHeaders } = response;
    this.#original = { writeHead, write, end, flushHeaders };
    response[HELD] = this;
    Object.assign(response, this.#callsOf(0));
  }

  /** Holds a response, or adds a gate to one that is held already. */
  static hold(response: ServerResponse, gate: ResponseGate): DeferredHold {
    const { [HELD]: held } = response as DeferredResponse;
    if (held === undefined) return new DeferredHold(response, gate);
    held.#gates.add(gate);
    return held;
  }

  /** The response on which an error can be answered: a head that was written but has not left is forgotten. */
  restart(): ServerResponse {
    if (this.#state === "open" && this.#head !== undefined) {
      this.#head = undefined;
      this.#pretend(false);
    }
    return this.#response;
  }

  /** Commits without an answer when the handler is done and its client goes before the first byte. */
  settle(): void {
    if (this.#state !== "open" || this.#response.writableEnded) return;
    if (this.#response.destroyed) this.#begin();
    else this.#response.once("close", () => this.settle());
  }

  #callsOf(writer: number): Calls {
    const response = this.#response;
    // A response may make one of its calls by another.
    const isOver = (): boolean => writer !== this.#writer && !this.#isPassing;
    /** Begins the commit with the first bytes. False when somebody else has the word, by then too. */
    const mayWrite = (): boolean => {
      if (!isOver() && this.#state === "open") this.#begin();
      return !isOver();
    };
    return {
      writeHead: (...args) => (isOver() ? response : this.#writeHead(args as HeadArguments)),
      flushHeaders: () => (mayWrite() ? this.#flushHeaders() : undefined),
      write: (...args) => (mayWrite() ? this.#write(args) : callBack(args)),
      end: (...args) => {
        if (mayWrite()) this.#end(args);
        else callBack(args);
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
      // Older middleware asks by calling; Node itself throws when the head is really another one.
      if (next.length === 1 && next[0] === response.statusCode) return response;
      throw Object.assign(new Error("Cannot write headers after they are sent to the client"), {
        code: "ERR_HTTP_HEADERS_SENT",
      });
    }
    checkHead(next);
    this.#head = next;
    response.statusCode = next[0];
    this.#pretend(true);
    return response;
  }

  #flushHeaders(): void {
    const call = (): void => this.#pass("flushHeaders", []);
    if (this.#state === "held") this.#kept.push({ call, args: [] });
    else call();
  }

  #write(args: unknown[]): boolean {
    if (this.#state === "released") return this.#pass("write", args);
    this.#drainOwed = true;
    this.#kept.push({ call: () => this.#pass("write", args), args });
    return false;
  }

  #end(args: unknown[]): void {
    if (this.#state === "released") {
      this.#pass("end", args);
      return;
    }
    this.#pretence.ended = true;
    this.#kept.push({ call: () => this.#pass("end", args), args });
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
      this.#passHead();
      return;
    }
    this.#state = "held";
    this.#pretend(true);
    commit.then(
      () => this.#release(),
      (failure: GateFailure) => this.#fail(failure),
    );
  }

  #passHead(): void {
    const response = this.#response;
    this.#state = "released";
    this.#pretend(false);
    if (!this.#gates.isSilent && !response.headersSent) {
      if (this.#head !== undefined) foldHeaders(response, this.#head);
      this.#gates.change(openHeaders(response));
    }
    if (this.#head !== undefined) this.#pass("writeHead", this.#head);
  }

  #release(): void {
    const response = this.#response;
    try {
      this.#passHead();
      for (let kept = this.#kept.shift(); kept !== undefined; kept = this.#kept.shift()) kept.call();
    } catch (error) {
      // What would have been thrown at the application, had the call not been kept.
      if (response.headersSent) response.destroy();
      this.#fail(this.#gates.refused(error));
      return;
    }
    if (!response.writableNeedDrain) this.#settleDrain();
  }

  #settleDrain(): void {
    const isOwed = this.#drainOwed && !this.#pretence.ended;
    this.#drainOwed = false;
    if (isOwed && !this.#response.destroyed) this.#response.emit("drain");
  }

  #fail({ gate, cause }: GateFailure): void {
    const response = this.#response;
    this.#pretend(false);
    if (this.#head !== undefined && !response.headersSent) foldHeaders(response, this.#head);
    this.#head = undefined;
    this.#state = "open";
    this.#writer++;
    discardEntityHeaders(response);
    // Nobody waits for ever for what will not be sent.
    for (const { args } of this.#kept.splice(0)) callBack(args);
    this.#settleDrain();
    this.#pretence.ended = false;
    gate.fail(cause, this.#answerOf(this.#writer));
  }

  /** The response, for those who answer the error. */
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

  #pretend(active: boolean): void {
    this.#pretence.active = active;
    if (!active || this.#installed) return;
    this.#installed = true;
    install(this.#response, this.#pretence);
  }
}

/** Tells a callback that is nobody's any more. */
function callBack(args: unknown[]): true {
  const callback = args.at(-1);
  if (typeof callback === "function") queueMicrotask(callback as () => void);
  return true;
}
