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
