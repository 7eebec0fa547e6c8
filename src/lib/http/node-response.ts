import { type ServerResponse, validateHeaderName, validateHeaderValue } from "node:http";

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

type HeadArguments = [status: number, reason?: unknown, headers?: unknown];

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
export function holdResponse(response: ServerResponse, gate: ResponseGate): void {
  const original = {
    writeHead: response.writeHead as (...args: unknown[]) => ServerResponse,
    write: response.write as (...args: unknown[]) => boolean,
    end: response.end as (...args: unknown[]) => ServerResponse,
    flushHeaders: response.flushHeaders,
  };
  /** "open": nothing to send yet; "held": committing; "released": pass on; "failed": the gate answers; "discarded". */
  let state: "open" | "held" | "released" | "failed" | "discarded" = "open";
  let head: HeadArguments | undefined;
  let kept: (() => void)[] = [];
  let ended = false;
  let drainOwed = false;

  const begin = (): void => {
    let outcome: ResponseHead | Promise<ResponseHead>;
    try {
      outcome = gate.commit();
    } catch (error) {
      fail(error);
      return;
    }
    if (outcome instanceof Promise) {
      state = "held";
      pretend(true);
      outcome.then(release, fail);
    } else {
      passHead(outcome);
    }
  };

  const passHead = ({ apply }: ResponseHead): void => {
    state = "released";
    pretend(false);
    if (apply !== false && !response.headersSent) {
      if (head !== undefined) foldHeaders(response, head);
      apply();
    }
    if (head !== undefined) original.writeHead.apply(response, head);
  };

  const release = (outcome: ResponseHead): void => {
    try {
      passHead(outcome);
      for (const call of kept) call();
    } catch (error) {
      response.destroy(error as Error);
    }
    kept = [];
    if (drainOwed && !ended && !response.destroyed && !response.writableNeedDrain) response.emit("drain");
  };

  const fail = (error: unknown): void => {
    state = "failed";
    pretend(false);
    kept = [];
    if (head !== undefined && !response.headersSent) foldHeaders(response, head);
    discardEntityHeaders(response);
    const discard = (): void => {
      state = "discarded";
    };
    gate.fail(error).then(discard, discard);
  };

  /** While something is kept, the response says of itself what is true for the application: its head has been sent. */
  const pretend = (on: boolean): void => {
    for (const [name, value] of [["headersSent", () => true] as const, ["writableEnded", () => ended] as const]) {
      if (on) Object.defineProperty(response, name, { configurable: true, enumerable: true, get: value });
      else delete (response as unknown as Record<string, unknown>)[name];
    }
  };

  response.writeHead = function writeHead(...args: unknown[]) {
    const next = args as HeadArguments;
    if (state === "discarded") return response;
    if (state === "released" || state === "failed") return original.writeHead.apply(response, next);
    if (head !== undefined || state === "held") {
      // Older middleware asks by calling; Node itself throws when the head is really another one.
      if (next.length === 1 && next[0] === response.statusCode) return response;
      throw Object.assign(new Error("Cannot write headers after they are sent to the client"), {
        code: "ERR_HTTP_HEADERS_SENT",
      });
    }
    checkHead(next);
    head = next;
    response.statusCode = head[0];
    pretend(true);
    return response;
  };

  response.flushHeaders = function flushHeaders() {
    if (state === "open") begin();
    if (state === "held") kept.push(() => original.flushHeaders.call(response));
    else if (state !== "discarded") original.flushHeaders.call(response);
  };

  response.write = function write(...args: unknown[]) {
    if (state === "open") begin();
    if (state === "discarded") {
      callBack(args);
      return true;
    }
    if (state !== "held") return original.write.apply(response, args);
    drainOwed = true;
    kept.push(() => original.write.apply(response, args));
    return false;
  } as ServerResponse["write"];

  response.end = function end(...args: unknown[]) {
    if (state === "open") begin();
    if (state === "discarded") callBack(args);
    else if (state !== "held") original.end.apply(response, args);
    else {
      ended = true;
      kept.push(() => original.end.apply(response, args));
    }
    return response;
  } as ServerResponse["end"];
}

/** The headers among the arguments of writeHead, flat: name, value, name, value. */
function headersOf(head: HeadArguments): unknown[] {
  const headers = typeof head[1] === "string" ? head[2] : (head[2] ?? head[1]);
  if (typeof headers !== "object" || headers === null) return [];
  return Array.isArray(headers) ? headers.flat() : Object.entries(headers).flat(1);
}

/** Throws what Node would throw on sending this head. */
function checkHead(head: HeadArguments): void {
  const [status] = head;
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw Object.assign(new RangeError(`Invalid status code: ${status}`), { code: "ERR_HTTP_INVALID_STATUS_CODE" });
  }
  const headers = headersOf(head);
  for (let index = 0; index < headers.length; index += 2) {
    const [name, value] = [String(headers[index]), headers[index + 1]];
    validateHeaderName(name);
    for (const one of [value].flat()) validateHeaderValue(name, one as string);
  }
}

/** Moves the headers of a writeHead call into the response, as Node would, so that ours can join them. Changes `head`. */
function foldHeaders(response: ServerResponse, head: HeadArguments): void {
  const headers = headersOf(head);
  head.splice(1, 2, ...(typeof head[1] === "string" ? [head[1]] : []));
  const names = new Set(headers.filter((_, index) => index % 2 === 0).map(String));
  for (const name of names) response.removeHeader(name);
  for (let index = 0; index < headers.length; index += 2) {
    const [name, value] = [String(headers[index]), headers[index + 1] as string];
    const present = response.getHeader(name);
    response.setHeader(name, present === undefined ? value : [present, value].flat().map(String));
  }
}

/** Headers that speak of a body that is not sent, or let another answer be cached or followed, go; policies stay. */
function discardEntityHeaders(response: ServerResponse): void {
  if (response.headersSent) return;
  for (const name of response.getHeaderNames()) {
    const entity =
      /^(?:content-(?!security-policy)|etag$|last-modified$|cache-control$|expires$|location$|set-cookie$|accept-ranges$|transfer-encoding$|trailer$)/;
    if (entity.test(name)) response.removeHeader(name);
  }
}

function callBack(args: unknown[]): void {
  const callback = args.at(-1);
  if (typeof callback === "function") queueMicrotask(callback as () => void);
}
