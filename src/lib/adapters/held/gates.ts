import type { ServerResponse } from "node:http";
import type { OpenHeaders } from "../response-headers.ts";

/** A commit's change to the head of a response. Undefined when it changes nothing. */
export type HeadChange = ((headers: OpenHeaders) => void) | undefined;

/** The commit of one session, which a response waits for before its head leaves. */
export interface ResponseGate {
  /** Commits the session just before the head is sent. Called once. Returns a promise only if the store must be asked. */
  commit(): HeadChange | Promise<HeadChange>;
  /** Returns the change for what was stored before the commit failed, such as a login's cookie. Never throws. */
  committed(): HeadChange;
  /** Answers the request in place of the application, whose answer is discarded. Never throws. */
  fail(error: unknown, response: ServerResponse): void;
}

/** Wraps the error of a failed commit together with its gate. */
export class GateFailure extends Error {
  readonly gate: ResponseGate;

  /** Creates the failure of a gate's commit. */
  constructor(gate: ResponseGate, cause: unknown) {
    super("a session could not be committed", { cause });
    this.gate = gate;
  }
}

/**
 * The sessions that one response waits for, and their changes to its head. With two managers around one handler, the inner one commits
 * first, because it sees the answer first.
 */
export class ResponseGates {
  /** The next gate to commit. Most responses have only one. */
  #next: ResponseGate | undefined;
  /** The gates further out, the outermost first. */
  #others: ResponseGate[] | undefined;
  #last: ResponseGate;
  #change: HeadChange;

  /** Creates the list with its outermost gate. */
  constructor(gate: ResponseGate) {
    this.#next = gate;
    this.#last = gate;
  }

  /** Adds the gate of a manager further inside. */
  add(gate: ResponseGate): void {
    if (this.#next !== undefined) (this.#others ??= []).push(this.#next);
    this.#next = gate;
  }

  /** Says whether the commits so far leave the head unchanged. */
  get isSilent(): boolean {
    return this.#change === undefined;
  }

  /** Applies the changes of every commit so far. */
  change(headers: OpenHeaders): void {
    this.#change?.(headers);
  }

  /**
   * Commits the sessions that wait, the innermost first.
   *
   * @returns undefined when every commit was synchronous
   * @throws GateFailure, or rejects with it, when a commit fails. The gates further out then still wait, and commit with the error's answer.
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

  /** Returns the failure of a response that Node refused after the commits. The outermost gate answers it. */
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

/** The state that a response reports while its calls are kept: its head counts as sent. */
export interface StateOverride {
  active: boolean;
  /** Whether `end` was called. */
  ended: boolean;
}

const STATE_OVERRIDE = Symbol("pgstore override");

type Response = ServerResponse & { [STATE_OVERRIDE]?: StateOverride };

/**
 * Says whether a response is captured by a program in this process, such as an adapter for cloud functions, instead of sent to a network.
 * Such a program takes the output as soon as `writableEnded` is true.
 */
export function isCaptured({ socket }: ServerResponse): boolean {
  return socket != null && (socket as { server?: unknown }).server === undefined;
}

/** Overrides `headersSent`, `finished` and `writableEnded` while the override is active. */
export function overrideState(response: ServerResponse, override: StateOverride): void {
  (response as Response)[STATE_OVERRIDE] = override;
  // Node has a plain property here, HTTP/2 an accessor.
  let finished = Object.getOwnPropertyDescriptor(response, "finished")?.value as boolean | undefined;
  Object.defineProperties(response, PROPERTIES);
  Object.defineProperty(response, "finished", {
    configurable: true,
    get: () => (override.active ? override.ended : (finished ?? classValue(response, "finished"))),
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
      return this[STATE_OVERRIDE]?.active === true || classValue(this, "headersSent");
    },
  },
  writableEnded: {
    configurable: true,
    enumerable: true,
    get() {
      const { active = false, ended = false } = this[STATE_OVERRIDE] ?? {};
      return active ? ended && !isCaptured(this) : classValue(this, "writableEnded");
    },
  },
};

/** Reads the property from the response's class. */
function classValue(response: Response, name: "headersSent" | "writableEnded" | "finished"): boolean {
  return Reflect.get(Object.getPrototypeOf(response) as object, name, response) as boolean;
}
