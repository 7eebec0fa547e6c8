import { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { lowerAscii, type OpenHeaders } from "../../http/headers.ts";

/*
 * The parts below the methods of Node's HTTP/1 response, as Http1Hold reads and changes them: the serialized head, the queued pieces, the
 * turns of the event loop in which they come, and the socket.
 */

const node = ServerResponse.prototype;

/**
 * The head of an HTTP/1 response that Node has serialized but not sent: a text that ends with an empty line.
 *
 * Node accepts no more headers by then, and the headers of `writeHead` are only in the text. Changes are made for `getHeader` as well,
 * because programs that run Express without a network read the headers there.
 */
export class HeadText implements OpenHeaders {
  /** The head with all changes. */
  text: string;
  readonly #response: ServerResponse;
  /** The header that was last looked for and not found. */
  #absent: string | undefined;

  /**
   * Creates an editor of a serialized head.
   *
   * @param response - must accept headers, so its `_header` must be null meanwhile
   */
  constructor(text: string, response: ServerResponse) {
    this.text = text;
    this.#response = response;
  }

  /** Returns the name and value of each line. */
  static entries(text: string): [name: string, value: string][] {
    return text
      .slice(0, -4)
      .split("\r\n")
      .slice(1)
      .map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 2)];
      });
  }

  get(name: string): string | null {
    return this.#values(name).join(", ") || null;
  }

  set(name: string, value: string): void {
    this.#remove(name);
    this.#add(name, value);
    node.setHeader.call(this.#response, name, value);
  }

  append(name: string, value: string): void {
    this.#add(name, value);
    node.setHeader.call(this.#response, name, this.#values(name));
  }

  delete(name: string): void {
    this.#remove(name);
    node.removeHeader.call(this.#response, name);
  }

  keys(): string[] {
    return HeadText.entries(this.text).map(([name]) => name);
  }

  getSetCookie(): string[] {
    return this.#values("Set-Cookie");
  }

  #values(name: string): string[] {
    const lines = this.#linesOf(name);
    this.#absent = lines.length === 0 ? name : undefined;
    return lines.map(({ from, to }) => this.text.slice(from + name.length + 4, to));
  }

  #add(name: string, value: string): void {
    this.text = `${this.text.slice(0, -2)}${name}: ${value}\r\n\r\n`;
  }

  #remove(name: string): void {
    if (this.#absent !== name) {
      for (const { from, to } of this.#linesOf(name).toReversed()) {
        this.text = this.text.slice(0, from) + this.text.slice(to);
      }
    }
    this.#absent = undefined;
  }

  /** Finds the lines of a header. Each begins with the line break before it. */
  #linesOf(name: string): { from: number; to: number }[] {
    const { text } = this;
    const lines = [];
    const first = name.charCodeAt(0) | 0x20;
    for (let from = text.indexOf("\r\n"), to = 0; from !== -1; from = to) {
      to = text.indexOf("\r\n", from + 2);
      const colon = from + 2 + name.length;
      // The first letter and the length of the name spare most headers the comparison.
      if (text.charCodeAt(colon) !== 0x3a || (text.charCodeAt(from + 2) | 0x20) !== first) continue;
      const own = text.slice(from + 2, colon);
      if (own === name || lowerAscii(own) === lowerAscii(name)) lines.push({ from, to });
    }
    return lines;
  }
}

/** One piece of queued output, in the form in which Node queues it. */
export interface Piece {
  data: string | Uint8Array;
  encoding: unknown;
  callback: unknown;
}

/** The undocumented members of Node's response that are used here. They are the same in every supported version of Node. */
export type Http1Response = ServerResponse & {
  _header: string | null;
  _headerSent: boolean;
  _last: boolean;
  _closed: boolean;
  outputData: Piece[];
  outputSize: number;
  _onPendingData(bytes: number): void;
  _writeRaw(data: string | Uint8Array, encoding?: unknown, callback?: unknown, size?: number): boolean;
  _flush(): void;
  _finish(): void;
  _flushOutput(socket: unknown): unknown;
};

/** Returns the piece that begins with the head: the first bytes, or a piece that Node has queued before them. */
export function findHead(first: Piece, { outputData, _header }: Http1Response): Piece | undefined {
  if (outputData.length === 0) return first;
  return outputData.find(({ data }) => data === _header) ?? first;
}

let now = 0;
let isCounting = false;

/** Returns the number of the present turn of the event loop. */
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

const KEEPER = Symbol("pgstore keeper of a socket");
const UNGUARDED = Symbol("pgstore calls of a socket");

/** Decides on the calls that close a guarded socket, and learns when it is uncorked. */
export interface SocketKeeper {
  close(name: "destroy" | "end", args: unknown[]): void;
  noteCork(): void;
}

type HeldSocket = Socket & {
  [KEEPER]?: SocketKeeper | undefined;
  /** The overridden methods, which the application may itself have overridden. */
  [UNGUARDED]?: Pick<Socket, "destroy" | "end" | "uncork">;
};

/** Lets a keeper decide on the calls that close the socket, until `unguard`. */
export function guard(socket: HeldSocket, keeper: SocketKeeper): void {
  socket[KEEPER] = keeper;
  if (socket[UNGUARDED] !== undefined) return;
  // The overrides stay for the socket's life, because other code may have wrapped them by the time they could be removed.
  const { destroy, end, uncork } = socket;
  socket[UNGUARDED] = { destroy, end, uncork };
  Object.assign(socket, { destroy: destroyHeld, end: endHeld, uncork: uncorkHeld });
}

/** Ends this keeper's guard of a socket. */
export function unguard(socket: HeldSocket | null, keeper: SocketKeeper): void {
  if (socket?.[KEEPER] === keeper) socket[KEEPER] = undefined;
}

function destroyHeld(this: HeldSocket, ...args: unknown[]): Socket {
  return passOrClose(this, "destroy", args);
}

function endHeld(this: HeldSocket, ...args: unknown[]): Socket {
  return passOrClose(this, "end", args);
}

function passOrClose(socket: HeldSocket, name: "destroy" | "end", args: unknown[]): Socket {
  const { [KEEPER]: keeper, [UNGUARDED]: own } = socket;
  if (keeper === undefined) Reflect.apply(own?.[name] as () => unknown, socket, args);
  else keeper.close(name, args);
  return socket;
}

function uncorkHeld(this: HeldSocket): void {
  this[UNGUARDED]?.uncork.call(this);
  this[KEEPER]?.noteCork();
}

/**
 * Says whether a response is captured by a program in this process, such as an adapter for cloud functions, instead of sent to a network.
 * Such a program takes the output as soon as `writableEnded` is true.
 */
export function isCaptured({ socket }: ServerResponse): boolean {
  return socket != null && (socket as { server?: unknown }).server === undefined;
}

/** Makes the error that Node passes to the callback of a write when the client has gone. */
export function streamDestroyed(): Error {
  const error = new Error("Cannot call write after a stream was destroyed");
  return Object.assign(error, { code: "ERR_STREAM_DESTROYED" });
}
