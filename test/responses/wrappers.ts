import type { ServerResponse } from "node:http";
import { Transform } from "node:stream";
import type { Lane } from "./interpreter.ts";
import type { WrapperName } from "./program.ts";

/**
 * Small middleware in the manner of well-known packages: they replace methods of the response by their own. Deliberately
 * deterministic, some at once and some later.
 */
export const INSTALL: Record<WrapperName, (response: ServerResponse, note: Note) => void> = {
  onHeaders: (response, note) =>
    onHeaders(response, () => {
      note(`onHeaders: listener, status ${response.statusCode}`);
      response.setHeader("X-On-Headers", "1");
      response.removeHeader("x-b");
    }),
  compress: (response) => compress(response, (done) => done()),
  compressLater: (response) => compress(response, (done) => void setImmediate(done)),
  endLater,
  watchEnd,
};

type Arguments = unknown[];
type Note = (text: string, lane?: Lane) => void;

/** As on-headers: the listener runs when the head is about to be written. */
function onHeaders(response: ServerResponse, listener: () => void): void {
  const { writeHead } = response;
  let isFired = false;
  response.writeHead = function (this: ServerResponse, ...args: Arguments) {
    if (isFired) return Reflect.apply(writeHead, this, args) as ServerResponse;
    isFired = true;
    const headers = args[typeof args[1] === "string" ? 2 : 1];
    if (typeof args[0] === "number") this.statusCode = args[0];
    if (Array.isArray(headers)) {
      const pairs = Array.isArray(headers[0]) ? (headers as [string, string][]) : inPairs(headers as string[]);
      for (const [name, value] of pairs) this.setHeader(name, value);
    } else if (typeof headers === "object" && headers !== null) {
      for (const [name, value] of Object.entries(headers)) this.setHeader(name, value as string);
    }
    listener();
    const rest = typeof args[1] === "string" ? args.slice(0, 2) : args.slice(0, 1);
    return Reflect.apply(writeHead, this, rest) as ServerResponse;
  };
}

function inPairs(flat: string[]): [string, string][] {
  return flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ""] as [string, string]] : []));
}

/** As compression: write and end go through a stream that changes the bytes, "drain" is that stream's. */
function compress(response: ServerResponse, schedule: (done: () => void) => void): void {
  const { write, end, on } = response;
  let stream: Transform | undefined;
  let hasEnded = false;
  let waiting: [string, (...args: unknown[]) => void][] | undefined = [];
  const bytesOf = (chunk: unknown, encoding: unknown): unknown =>
    typeof chunk === "string" ? Buffer.from(chunk, encoding as BufferEncoding) : chunk;

  response.write = function (this: ServerResponse, chunk: unknown, encoding?: unknown) {
    if (hasEnded) return false;
    if (!this.headersSent) this.writeHead(this.statusCode);
    return stream ? stream.write(bytesOf(chunk, encoding)) : (Reflect.apply(write, this, [chunk, encoding]) as boolean);
  } as ServerResponse["write"];

  response.end = function (this: ServerResponse, chunk?: unknown, encoding?: unknown) {
    if (hasEnded) return false;
    if (!this.headersSent) {
      if (!this.getHeader("Content-Length") && chunk == null) waiting = waiting ?? [];
      this.writeHead(this.statusCode);
    }
    if (!stream) return Reflect.apply(end, this, [chunk, encoding]) as unknown;
    hasEnded = true;
    return chunk ? stream.end(bytesOf(chunk, encoding)) : stream.end();
  } as unknown as ServerResponse["end"];

  response.on = function (this: ServerResponse, type: string, listener: (...args: unknown[]) => void) {
    if (waiting === undefined || type !== "drain") return Reflect.apply(on, this, [type, listener]) as unknown;
    if (stream) return stream.on(type, listener);
    waiting.push([type, listener]);
    return this;
  } as unknown as ServerResponse["on"];

  onHeaders(response, () => {
    const listeners = waiting ?? [];
    const giveUp = (): void => {
      waiting = undefined;
      for (const entry of listeners) Reflect.apply(on, response, entry);
    };
    if (response.getHeader("Content-Encoding") !== undefined || response.statusCode === 304) return giveUp();
    const made = new Transform({
      transform: (chunk: Buffer, _encoding, done) => schedule(() => done(null, `<${chunk.toString("latin1")}>`)),
      flush: (done) => schedule(() => done(null, "$")),
    });
    stream = made;
    for (const [type, listener] of listeners) made.on(type, listener);
    response.setHeader("Content-Encoding", "toy");
    response.removeHeader("Content-Length");
    made.on("data", (chunk: Buffer) => {
      if (!(Reflect.apply(write, response, [chunk]) as boolean)) made.pause();
    });
    made.on("end", () => void Reflect.apply(end, response, []));
    made.on("error", () => {});
    Reflect.apply(on, response, ["drain", () => made.resume()]);
  });
}

/** As express-session: what was given to end is kept until something else is done. */
function endLater(response: ServerResponse, note: Note): void {
  const { end } = response;
  let hasEnded = false;
  response.end = function (this: ServerResponse, ...args: Arguments) {
    if (hasEnded) return false;
    hasEnded = true;
    setImmediate(() => {
      try {
        Reflect.apply(end, this, args);
      } catch (error) {
        note(`endLater: ${String(error)}`);
      }
    });
    return true;
  } as unknown as ServerResponse["end"];
}

/** As a logger: notes what was sent when the response is done. */
function watchEnd(response: ServerResponse, note: Note): void {
  const { end } = response;
  response.end = function (this: ServerResponse, ...args: Arguments) {
    if (!this.finished) note(`watchEnd: end is called, headersSent ${this.headersSent}`);
    return Reflect.apply(end, this, args) as ServerResponse;
  } as ServerResponse["end"];
  response.on("finish", () => {
    note(`watchEnd: finished with ${response.statusCode} ${String(response.getHeader("x-a"))}`, "network");
  });
}
