import type { ServerResponse } from "node:http";
import type { OpenHeaders } from "../../http/headers.ts";

/** A commit's change to the head of a response. */
export interface HeadChange {
  applyTo(headers: OpenHeaders): void;
}

/** The commit of one session, or of several, which a response waits for before its head leaves. */
export interface ResponseGate {
  /**
   * Commits just before the head is sent. Called once. Never throws: it returns a promise if a store must be asked or the commit has failed,
   * otherwise the change, or undefined for none.
   */
  commit(): HeadChange | undefined | Promise<HeadChange | undefined>;
  /** Returns the change for what was stored before the commit failed, such as a login's cookie. Never throws. */
  committed(): HeadChange | undefined;
  /** Answers the request in place of the application, whose answer is discarded. Never throws. */
  fail(error: unknown, response: ServerResponse): void;
  /** The sessions that still wait after a commit has failed. They commit with the error's answer. */
  readonly rest?: ResponseGate | undefined;
}

/**
 * The sessions of two managers around one handler, or of more. The inner one commits first, because it sees the answer first. Most responses
 * have only one gate, without this class.
 */
export class NestedGates implements ResponseGate {
  readonly #outer: ResponseGate;
  readonly #inner: ResponseGate;
  #change: HeadChange | undefined;
  /** The gate whose commit has failed. A response that Node refuses after the commits fails at the outer one. */
  #failed: ResponseGate;

  /** Puts a gate inside another one. */
  constructor(outer: ResponseGate, inner: ResponseGate) {
    this.#outer = outer;
    this.#inner = inner;
    this.#failed = outer;
  }

  commit(): HeadChange | undefined | Promise<HeadChange | undefined> {
    this.#failed = this.#inner;
    const change = this.#inner.commit();
    return change instanceof Promise ? change.then((later) => this.#commitOuter(later)) : this.#commitOuter(change);
  }

  #commitOuter(change: HeadChange | undefined): HeadChange | undefined | Promise<HeadChange | undefined> {
    this.#change = change;
    this.#failed = this.#outer;
    const outer = this.#outer.commit();
    return outer instanceof Promise ? outer.then((later) => both(change, later)) : both(change, outer);
  }

  committed(): HeadChange | undefined {
    return both(this.#change, this.#failed.committed());
  }

  fail(error: unknown, response: ServerResponse): void {
    this.#failed.fail(error, response);
  }

  get rest(): ResponseGate | undefined {
    return this.#failed === this.#inner ? nested(this.#outer, this.#inner.rest) : this.#outer.rest;
  }
}

/** Puts a gate inside another one, where there is one. */
export function nested(outer: ResponseGate | undefined, inner: ResponseGate | undefined): ResponseGate | undefined {
  return outer === undefined || inner === undefined ? (outer ?? inner) : new NestedGates(outer, inner);
}

/** Makes one change of two. */
export function both(first: HeadChange | undefined, second: HeadChange | undefined): HeadChange | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return {
    applyTo(headers) {
      first.applyTo(headers);
      second.applyTo(headers);
    },
  };
}
