import net from "node:net";
import { once } from "node:events";

export interface Response {
  status: number;
  /** With the status line; Latin-1. */
  head: string;
  body: string;
}

/** A keep-alive connection of HTTP/1.1, one request at a time: little else than the bytes, so that it is quick. */
export class Connection {
  readonly #socket: net.Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (response: Response) => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      this.#deliver();
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  static async open(port: number): Promise<Connection> {
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Connection(socket);
  }

  /** @param bytes - the whole request */
  send(bytes: Buffer): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(bytes);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #deliver(): void {
    const response = parseResponse(this.#received);
    if (response === undefined) return;
    this.#received = this.#received.subarray(response.length);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined || this.#received.length > 0) this.#socket.destroy(new Error("an unasked response"));
    waiting?.resolve(response);
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

const HEAD_END = Buffer.from("\r\n\r\n");

/** Reads a response with Content-Length from the start of some bytes; undefined: it is not complete yet. */
export function parseResponse(bytes: Buffer): (Response & { length: number }) | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const size = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (size === undefined) throw new Error(`no Content-Length: ${head}`);
  const start = headEnd + HEAD_END.length;
  const length = start + Number(size);
  if (bytes.length < length) return undefined;
  return { status: Number(head.slice(9, 12)), head, body: bytes.toString("latin1", start, length), length };
}
