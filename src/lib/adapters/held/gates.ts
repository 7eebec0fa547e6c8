import type { ServerResponse } from "node:http";
import type { OpenHeaders } from "../../http/headers.ts";

/** A commit's change to the head of a response. */
export interface HeadChange {
  applyTo(headers: OpenHeaders): void;
}

/** The commit of one session, or of several, which a response waits for before its head leaves. */
export interface ResponseGate {
  /**
   * Commits just before the head is sent. Called once. Never throws. Returns a promise if a store must be asked or the
   * commit has failed, otherwise the change, if any.
   */
  commit(): HeadChange | undefined | Promise<HeadChange | undefined>;
  /** Returns the change for anything stored before the commit failed, such as a login's cookie. Never throws. */
  committed(): HeadChange | undefined;
  /** Answers the request in place of the application, whose answer is discarded. Never throws. */
  fail(error: unknown, response: ServerResponse): void;
  /** The sessions that still wait after a commit has failed. They commit with the error's answer. */
  readonly rest?: ResponseGate | undefined;
}

/**
 * The sessions of several managers around one handler. The inner one commits first, because it sees the answer first.
 * Most responses have one gate and don't need this class.
 */
class NestedGates implements ResponseGate {
  /** The outer gate until its turn comes. */
  #outer: ResponseGate | undefined;
  /**
   * The gate that commits, or the last one that did. If Node refuses the response after all commits, this gate answers
   * the error.
   */
  #current: ResponseGate;
  #change: HeadChange | undefined;

  /** Puts a gate inside another one. */
  constructor(outer: ResponseGate, inner: ResponseGate) {
    this.#outer = outer;
    this.#current = inner;
  }

  commit(): HeadChange | undefined | Promise<HeadChange | undefined> {
    const change = this.#current.commit();
    return change instanceof Promise ? change.then((later) => this.#goOn(later)) : this.#goOn(change);
  }

  #goOn(change: HeadChange | undefined): HeadChange | undefined | Promise<HeadChange | undefined> {
    this.#change = both(this.#change, change);
    if (this.#outer === undefined) return this.#change;
    this.#current = this.#outer;
    this.#outer = undefined;
    return this.commit();
  }

  committed(): HeadChange | undefined {
    return both(this.#change, this.#current.committed());
  }

  fail(error: unknown, response: ServerResponse): void {
    this.#current.fail(error, response);
  }

  get rest(): ResponseGate | undefined {
    const { rest } = this.#current;
    return rest === undefined ? this.#outer : nested(this.#outer, rest);
  }
}

/** Puts a gate inside another one, if there is one. */
export function nested(outer: ResponseGate | undefined, inner: ResponseGate): ResponseGate {
  return outer === undefined ? inner : new NestedGates(outer, inner);
}

/** Makes a gate whose commit is done. It only changes the head. */
export function settled(change: HeadChange | undefined): ResponseGate {
  return { commit: () => change, committed: () => undefined, fail: () => {} };
}

/**
 * Returns the gate of the answer to a failed commit, for the changes that were stored before the failure and the sessions that still wait.
 *
 * @param released - the change of a commit that has succeeded, if the response could not be sent after it
 */
export function afterFailure(gate: ResponseGate, released?: HeadChange): ResponseGate {
  return nested(gate.rest, settled(both(released, gate.committed())));
}

/** Combines two changes. */
function both(first: HeadChange | undefined, second: HeadChange | undefined): HeadChange | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return {
    applyTo(headers) {
      first.applyTo(headers);
      second.applyTo(headers);
    },
  };
}
