import type { ServerResponse } from "node:http";
import { checkHead, discardEntityHeaders, foldHeaders, type HeadArguments } from "./node-head.ts";
import { install, type Pretence } from "./node-pretence.ts";

/** What is added to a response before its head leaves. */
export interface ResponseHead {
  /** Changes the response's headers; false when there is nothing to add. */
  apply: (() => void) | false;
}

/** What the held response needs from its session. */
export interface ResponseGate {
  /** Called once, when the head is about to leave. At once or, when the store must be asked, later. */
  commit(): ResponseHead | Promise<ResponseHead>;
  /** Answers the request instead, when the commit failed. What the application wrote is discarded. */
  fail(error: unknown): Promise<void>;
}

/**
 * Holds a response back until its session is committed.
 *
 * writeHead sends nothing yet, as in Node itself; the first of write, end and flushHeaders begins the commit. When the
 * store has nothing to do, everything passes through as it is. Otherwise calls are kept, in order and with their
 * callbacks, and made again when the commit is done; meanwhile `write` returns false, so that streams pause, and "drain"
 * follows. When the commit fails, what was kept is discarded, and what the application still writes as well.
 *
 * Wrappers stay in place for good: other middleware may have wrapped ours since, so taking them off would take off
 * theirs.
 */
export function holdResponse(response: ServerResponse, gate: ResponseGate): HeldResponse {
  const held = new HeldResponse(response, gate);
  response.writeHead = (...args: unknown[]) => held.writeHead(args as HeadArguments);
  response.flushHeaders = () => held.flushHeaders();
  response.write = ((...args: unknown[]) => held.write(args)) as ServerResponse["write"];
  response.end = ((...args: unknown[]) => held.end(args)) as ServerResponse["end"];
  return held;
}

/** A response that is held back, as `holdResponse` says. */
export class HeldResponse {
  readonly #response: ServerResponse;
  readonly #gate: ResponseGate;
  readonly #original: {
    writeHead: (...args: unknown[]) => ServerResponse;
    write: (...args: unknown[]) => boolean;
    end: (...args: unknown[]) => ServerResponse;
    flushHeaders: () => void;
  };
  /** "open": nothing to send yet; "held": committing; "released": pass on; "failed": the gate answers; "discarded". */
  #state: "open" | "held" | "released" | "failed" | "discarded" = "open";
  #head: HeadArguments | undefined;
  #kept: { call: () => void; args: unknown[] }[] = [];
  #drainOwed = false;
  readonly #pretence: Pretence = { active: false, ended: false };
  #installed = false;

  constructor(response: ServerResponse, gate: ResponseGate) {
    this.#response = response;
    this.#gate = gate;
    const { writeHead, write, end, flushHeaders } = response;
    this.#original = { writeHead, write, end, flushHeaders } as never;
  }

  /** Forgets a head that was written but has not left, so that another answer can take its place. */
  forgetHead(): void {
    if (this.#state !== "open" || this.#head === undefined) return;
    this.#head = undefined;
    this.#pretend(false);
  }

  writeHead(next: HeadArguments): ServerResponse {
    const response = this.#response;
    if (this.#state === "discarded") return response;
    if (this.#state === "released" || this.#state === "failed") return this.#original.writeHead.apply(response, next);
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

  flushHeaders(): void {
    const { flushHeaders } = this.#original;
    if (this.#state === "open") this.#begin();
    if (this.#state === "held") this.#kept.push({ call: () => flushHeaders.call(this.#response), args: [] });
    else if (this.#state !== "discarded") flushHeaders.call(this.#response);
  }

  write(args: unknown[]): boolean {
    if (this.#state === "open") this.#begin();
    if (this.#state === "discarded") {
      callBack(args);
      return true;
    }
    if (this.#state !== "held") return this.#original.write.apply(this.#response, args);
    this.#drainOwed = true;
    this.#kept.push({ call: () => this.#original.write.apply(this.#response, args), args });
    return false;
  }

  end(args: unknown[]): ServerResponse {
    if (this.#state === "open") this.#begin();
    if (this.#state === "discarded") callBack(args);
    else if (this.#state !== "held") this.#original.end.apply(this.#response, args);
    else {
      this.#pretence.ended = true;
      this.#kept.push({ call: () => this.#original.end.apply(this.#response, args), args });
    }
    return this.#response;
  }

  #begin(): void {
    let outcome: ResponseHead | Promise<ResponseHead>;
    try {
      outcome = this.#gate.commit();
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (outcome instanceof Promise) {
      this.#state = "held";
      this.#pretend(true);
      outcome.then(
        (head) => this.#release(head),
        (error: unknown) => this.#fail(error),
      );
    } else {
      this.#passHead(outcome);
    }
  }

  #passHead({ apply }: ResponseHead): void {
    const response = this.#response;
    this.#state = "released";
    this.#pretend(false);
    if (apply !== false && !response.headersSent) {
      if (this.#head !== undefined) foldHeaders(response, this.#head);
      apply();
    }
    if (this.#head !== undefined) this.#original.writeHead.apply(response, this.#head);
  }

  #release(outcome: ResponseHead): void {
    const response = this.#response;
    try {
      this.#passHead(outcome);
      for (let kept = this.#kept.shift(); kept !== undefined; kept = this.#kept.shift()) kept.call();
    } catch (error) {
      // What Node would have thrown at the application, had the call not been kept.
      if (response.headersSent) response.destroy();
      this.#fail(error);
      return;
    }
    if (!response.writableNeedDrain) this.#settleDrain();
  }

  #settleDrain(): void {
    if (this.#drainOwed && !this.#pretence.ended && !this.#response.destroyed) this.#response.emit("drain");
  }

  #fail(error: unknown): void {
    const response = this.#response;
    this.#state = "failed";
    this.#pretend(false);
    const discarded = this.#kept.splice(0);
    if (this.#head !== undefined && !response.headersSent) foldHeaders(response, this.#head);
    discardEntityHeaders(response);
    const discard = (): void => {
      this.#state = "discarded";
      // Nobody waits for ever for what will not be sent.
      for (const { args } of discarded) callBack(args);
      this.#settleDrain();
    };
    this.#gate.fail(error).then(discard, discard);
  }

  #pretend(active: boolean): void {
    this.#pretence.active = active;
    if (!active || this.#installed) return;
    this.#installed = true;
    install(this.#response, this.#pretence);
  }
}

function callBack(args: unknown[]): void {
  const callback = args.at(-1);
  if (typeof callback === "function") queueMicrotask(callback as () => void);
}
