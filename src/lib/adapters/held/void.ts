import { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Http1Response } from "./restart.ts";

let now = 0;
let isCounting = false;

/** Tells turns of the event loop apart. */
export function currentTurn(): number {
  if (!isCounting) {
    isCounting = true;
    setImmediate(() => {
      isCounting = false;
      now++;
    });
  }
  return now;
}

/** Takes the arguments of a write that is not sent, and calls its callback. */
export function discard(...args: unknown[]): true {
  const callback = args.at(-1);
  if (typeof callback === "function") process.nextTick(callback);
  return true;
}

/** A stand-in for a socket that discards everything. */
const VOID = {
  writable: true,
  writableLength: 0,
  writableCorked: 0,
  writableNeedDrain: false,
  cork() {},
  uncork() {},
  write: discard,
};

/** Makes the stand-in for a dead response's socket: it tells who the client is, and carries nothing. */
export function ghostOf(socket: Socket): Socket {
  const destroy = (error?: Error): Socket => socket.destroy(error);
  // An end uncorks it by this.
  const _writableState = Object.create((socket as { _writableState?: object })._writableState ?? null, {
    corked: { value: 0, writable: true },
  }) as unknown;
  const own = { ...VOID, destroy, end: VOID.write, _writableState };
  return Object.create(socket, Object.getOwnPropertyDescriptors(own)) as Socket;
}

/** Empties a dead response's queue: with the callbacks and "drain", so that nobody waits for what will not be sent. */
export function swallow(response: Http1Response): void {
  const { socket } = response;
  Object.assign(response, { socket: VOID });
  (ServerResponse.prototype as Http1Response)._flush.call(response);
  Object.assign(response, { socket });
}

/** The error that Node gives the callback of a write whose client has gone. */
export class StreamDestroyedError extends Error {
  readonly code = "ERR_STREAM_DESTROYED";

  constructor() {
    super("Cannot call write after a stream was destroyed");
  }
}
