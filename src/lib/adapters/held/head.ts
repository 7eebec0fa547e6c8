import { ServerResponse, validateHeaderName, validateHeaderValue } from "node:http";
import { isEntityHeader, type OpenHeaders } from "../response-headers.ts";

/** The arguments of `writeHead`. */
export type HeadArguments = [status: number, reason?: unknown, headers?: unknown];

/** The headers among the arguments of writeHead, flat: name, value, name, value. */
function headersOf(head: HeadArguments): unknown[] {
  const headers = typeof head[1] === "string" ? head[2] : (head[2] ?? head[1]);
  if (typeof headers !== "object" || headers === null) return [];
  if (!Array.isArray(headers)) return Object.entries(headers).flat(1);
  // Node takes pairs as well; in a flat list a value may itself be a list.
  return Array.isArray(headers[0]) ? headers.flat(1) : headers;
}

/** Throws what Node would throw on sending this head; makes the status a number. */
export function checkHead(head: HeadArguments): void {
  // As Node does: "200" will do.
  const status = (head[0] |= 0);
  if (status < 100 || status > 999) {
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
export function foldHeaders(response: ServerResponse, head: HeadArguments): void {
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
export function discardEntityHeaders(response: ServerResponse): void {
  if (response.headersSent) return;
  for (const name of response.getHeaderNames()) if (isEntityHeader(name)) response.removeHeader(name);
}

/** The headers of a response that has none fixed yet. */
export function openHeaders(response: ServerResponse): OpenHeaders {
  return {
    get: (name) => {
      const value = response.getHeader(name);
      return value === undefined ? undefined : [value].flat().join(", ");
    },
    set: (name, value) => void response.setHeader(name, value),
    delete: (name) => response.removeHeader(name),
    names: () => response.getHeaderNames(),
    getSetCookie: () => [response.getHeader("Set-Cookie") ?? []].flat().map(String),
    setSetCookie: (values) => void response.setHeader("Set-Cookie", values),
  };
}

const PATTERNS = new Map<string, RegExp>();

/**
 * The head of an HTTP/1 response as Node has written it down, before it leaves: a text that ends with an empty line.
 *
 * Node takes no more headers by then, and what `writeHead` was given is nowhere but in the text. What is changed here is
 * changed for `getHeader` as well, as programs that run Express without a network read it there.
 */
export class HeadText implements OpenHeaders {
  /** With the changes. */
  text: string;
  readonly #response: ServerResponse;

  /** @param response - takes headers at the time: its own head is out of the way */
  constructor(text: string, response: ServerResponse) {
    this.text = text;
    this.#response = response;
  }

  /** Name and value of each line. */
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

  get(name: string): string | undefined {
    const values = this.#values(name);
    return values.length === 0 ? undefined : values.join(", ");
  }

  set(name: string, value: string): void {
    this.#replace(name, [value]);
    ServerResponse.prototype.setHeader.call(this.#response, name, value);
  }

  delete(name: string): void {
    this.#replace(name, []);
    ServerResponse.prototype.removeHeader.call(this.#response, name);
  }

  names(): string[] {
    return HeadText.entries(this.text).map(([name]) => name);
  }

  getSetCookie(): string[] {
    return this.#values("Set-Cookie");
  }

  setSetCookie(values: string[]): void {
    this.#replace("Set-Cookie", values);
    ServerResponse.prototype.setHeader.call(this.#response, "Set-Cookie", values);
  }

  #values(name: string): string[] {
    if (!patternOf(name).test(this.text)) return [];
    return Array.from(this.text.matchAll(patternOf(name)), (match) => String(match[1]));
  }

  #replace(name: string, values: string[]): void {
    const pattern = patternOf(name);
    const text = pattern.test(this.text) ? this.text.replaceAll(pattern, "") : this.text;
    this.text = `${text.slice(0, -2)}${values.map((value) => `${name}: ${value}\r\n`).join("")}\r\n`;
  }
}

/** Finds the lines of a header, each with the line break before it. */
function patternOf(name: string): RegExp {
  let pattern = PATTERNS.get(name);
  if (pattern === undefined) {
    // Of what may stand in a name, these have a meaning here.
    pattern = new RegExp(`\\r\\n${name.replaceAll(/[.*+^$|]/g, "\\$&")}: ([^\\r]*)`, "gi");
    PATTERNS.set(name, pattern);
  }
  // A global one remembers where it was.
  pattern.lastIndex = 0;
  return pattern;
}

/** One piece of output that waits, as Node keeps it. */
export interface Piece {
  data: string | Uint8Array;
  encoding: unknown;
  callback: unknown;
}

/** The lower half of Node's response: private by its names, and the same on each supported line of Node. */
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

/** The piece that has the head: the first bytes, or one that Node has queued before them. */
export function findHead(first: Piece, { outputData, _header }: Http1Response): Piece | undefined {
  if (outputData.length === 0) return first;
  return outputData.find(({ data }) => data === _header) ?? first;
}

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
