import { ServerResponse, validateHeaderName, validateHeaderValue } from "node:http";
import { isEntityHeader, type OpenHeaders } from "../../http/headers.ts";

/** The arguments of `writeHead`. */
export type HeadArguments = [status: number, reason?: unknown, headers?: unknown];

/** Returns the headers among the arguments of writeHead as a flat list: name, value, name, value. */
function headersOf(head: HeadArguments): unknown[] {
  const headers = typeof head[1] === "string" ? head[2] : (head[2] ?? head[1]);
  if (typeof headers !== "object" || headers === null) return [];
  if (!Array.isArray(headers)) return Object.entries(headers).flat(1);
  // Node also accepts a list of pairs. In a flat list, a value may itself be a list.
  return Array.isArray(headers[0]) ? headers.flat(1) : headers;
}

/**
 * Checks a head as Node does when it sends it, and converts the status to a number.
 *
 * @throws RangeError when the status is invalid; TypeError when a header is
 */
export function checkHead(head: HeadArguments): void {
  // Node accepts "200" as well.
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

/** Moves the headers of a writeHead call into the response, as Node would, so that the session's can be added. Changes `head`. */
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

/** Removes the headers that belong to an answer that is not sent. Security policies stay. */
export function discardEntityHeaders(response: ServerResponse): void {
  if (response.headersSent) return;
  for (const name of response.getHeaderNames()) if (isEntityHeader(name)) response.removeHeader(name);
}

/** Returns the headers of a response whose head is not fixed yet. */
export function openHeaders(response: ServerResponse): OpenHeaders {
  const values = (name: string): string[] => [response.getHeader(name) ?? []].flat().map(String);
  return {
    get: (name) => values(name).join(", ") || null,
    set: (name, value) => void response.setHeader(name, value),
    append: (name, value) => void response.setHeader(name, [...values(name), value]),
    delete: (name) => response.removeHeader(name),
    keys: () => response.getHeaderNames(),
    getSetCookie: () => values("Set-Cookie"),
  };
}

const node = ServerResponse.prototype;

const PATTERNS = new Map<string, RegExp>();

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
    if (!hasLine(this.text, name)) {
      this.#absent = name;
      return [];
    }
    return Array.from(this.text.matchAll(patternOf(name)), (match) => String(match[1]));
  }

  #add(name: string, value: string): void {
    this.text = `${this.text.slice(0, -2)}${name}: ${value}\r\n\r\n`;
  }

  #remove(name: string): void {
    if (this.#absent !== name && hasLine(this.text, name)) this.text = this.text.replaceAll(patternOf(name), "");
    this.#absent = undefined;
  }
}

/** Says whether a head may have a line of a header, by the first letter and the length of the names. Most headers then need no pattern. */
function hasLine(text: string, name: string): boolean {
  const { length } = name;
  const first = name.charCodeAt(0) | 0x20;
  for (let at = text.indexOf("\r\n"); at !== -1; at = text.indexOf("\r\n", at + 2)) {
    if (text.charCodeAt(at + 2 + length) === 0x3a && (text.charCodeAt(at + 2) | 0x20) === first) return true;
  }
  return false;
}

/** Returns the pattern of a header's lines, each with the line break before it. */
function patternOf(name: string): RegExp {
  let pattern = PATTERNS.get(name);
  if (pattern === undefined) {
    // Of the characters that a header's name may contain, these are special in a pattern.
    pattern = new RegExp(`\\r\\n${name.replaceAll(/[.*+^$|]/g, "\\$&")}: ([^\\r]*)`, "gi");
    PATTERNS.set(name, pattern);
  }
  // A global pattern keeps its position.
  pattern.lastIndex = 0;
  return pattern;
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
