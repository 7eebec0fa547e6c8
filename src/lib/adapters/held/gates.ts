import type { ServerResponse } from "node:http";
import type { OpenHeaders } from "../response-headers.ts";

/** A commit's change to the head of a response. Undefined when it adds nothing. */
export type HeadChange = ((headers: OpenHeaders) => void) | undefined;

/** The commit of one session, which a response waits for before its head leaves. */
export interface ResponseGate {
  /** Commits, once, when the head is about to leave. At once or, when the store must be asked, later. */
  commit(): HeadChange | Promise<HeadChange>;
  /** The change of the head by what was stored before the commit failed, such as a login's cookie. Never throws. */
  committed(): HeadChange;
  /** Answers the request in place of the application, whose answer is discarded. Never throws. */
  fail(error: unknown, response: ServerResponse): void;
}

/** Thrown in place of the reason for which a commit failed. */
export class GateFailure extends Error {
  readonly gate: ResponseGate;

  constructor(gate: ResponseGate, cause: unknown) {
    super("a session could not be committed", { cause });
    this.gate = gate;
  }
}

/**
 * The sessions that one response waits for, and what they add to its head. With two managers around one handler the inner
 * one commits first, as it is the first to see the answer.
 */
export class ResponseGates {
  /** The next one, and those further out; most responses have one gate. */
  #next: ResponseGate | undefined;
  #others: ResponseGate[] | undefined;
  #last: ResponseGate;
  #change: HeadChange;

  constructor(gate: ResponseGate) {
    this.#next = gate;
    this.#last = gate;
  }

  /** Waits for another session, further inside. */
  add(gate: ResponseGate): void {
    if (this.#next !== undefined) (this.#others ??= []).push(this.#next);
    this.#next = gate;
  }

  /** Says whether the head goes out as the application made it. */
  get isSilent(): boolean {
    return this.#change === undefined;
  }

  /** Makes the changes of every commit so far. */
  change(headers: OpenHeaders): void {
    this.#change?.(headers);
  }

  /**
   * Commits the sessions that wait. Undefined when all of that was done at once.
   *
   * @throws GateFailure, or rejects with it; the gates further out still wait then, for the answer that is given instead
   */
  commit(): Promise<void> | undefined {
    for (let gate = this.#next; gate !== undefined; gate = this.#next) {
      this.#next = this.#others?.pop();
      const open = gate;
      this.#last = gate;
      let outcome: HeadChange | Promise<HeadChange>;
      try {
        outcome = gate.commit();
      } catch (error) {
        throw this.#failure(gate, error);
      }
      if (outcome instanceof Promise) {
        return outcome.then(
          (change) => {
            this.#note(change);
            return this.commit();
          },
          (error: unknown) => {
            throw this.#failure(open, error);
          },
        );
      }
      this.#note(outcome);
    }
    return undefined;
  }

  /** The failure of an answer that was refused after the commits, for the outermost session to answer. */
  refused(cause: unknown): GateFailure {
    return new GateFailure(this.#last, cause);
  }

  #note(change: HeadChange): void {
    const before = this.#change;
    if (before === undefined || change === undefined) this.#change = change ?? before;
    else {
      this.#change = (headers) => {
        before(headers);
        change(headers);
      };
    }
  }

  #failure(gate: ResponseGate, cause: unknown): GateFailure {
    this.#note(gate.committed());
    return new GateFailure(gate, cause);
  }
}

/** What a response says of itself while calls to it are kept: to the application its head has been sent. */
export interface Pretence {
  active: boolean;
  /** `end` was among the calls. */
  ended: boolean;
}

const PRETENCE = Symbol("pgstore pretence");

type Response = ServerResponse & { [PRETENCE]?: Pretence };

/**
 * Says whether a response goes to a program in this process and to no network: an adapter for functions in the cloud, say.
 * Such a program takes the output when the response says that it has ended.
 */
export function isCaptured({ socket }: ServerResponse): boolean {
  return socket != null && (socket as { server?: unknown }).server === undefined;
}

/** Lets a pretence have its say in `headersSent`, `finished` and `writableEnded`, whenever it is active. */
export function install(response: ServerResponse, pretence: Pretence): void {
  (response as Response)[PRETENCE] = pretence;
  // Node has a plain property here, HTTP/2 an accessor.
  let finished = Object.getOwnPropertyDescriptor(response, "finished")?.value as boolean | undefined;
  Object.defineProperties(response, PROPERTIES);
  Object.defineProperty(response, "finished", {
    configurable: true,
    get: () => (pretence.active ? pretence.ended : (finished ?? truly(response, "finished"))),
    set: (value: boolean) => {
      finished = value;
    },
  });
}

const PROPERTIES: PropertyDescriptorMap & ThisType<Response> = {
  headersSent: {
    configurable: true,
    enumerable: true,
    get() {
      return this[PRETENCE]?.active === true || truly(this, "headersSent");
    },
  },
  writableEnded: {
    configurable: true,
    enumerable: true,
    get() {
      const { active = false, ended = false } = this[PRETENCE] ?? {};
      return active ? ended && !isCaptured(this) : truly(this, "writableEnded");
    },
  },
};

/** What the class of the response says. */
function truly(response: Response, name: "headersSent" | "writableEnded" | "finished"): boolean {
  return Reflect.get(Object.getPrototypeOf(response) as object, name, response) as boolean;
}
