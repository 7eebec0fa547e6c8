import { ServerResponse } from "node:http";
import type { OpenHeaders } from "../response-headers.ts";

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
