import { ServerResponse } from "node:http";
import type { OpenHeaders } from "./response-headers.ts";

/** What Node keeps of a response's head: private by its name, and the same in every version since 0.4. */
type WithHead = ServerResponse & { _header: string | null };

/**
 * The head of an HTTP/1 response as Node has written it down, before it leaves: a text that ends with an empty line.
 *
 * Node takes no more headers by then, and what `writeHead` was given is nowhere but in the text. What is changed here is
 * changed for `getHeader` as well, as programs that run Express without a network read it there.
 */
export class HeadText implements OpenHeaders {
  readonly #response: WithHead;
  #lines: string[];

  constructor(response: ServerResponse) {
    this.#response = response as WithHead;
    this.#lines = (this.#response._header ?? "").slice(0, -4).split("\r\n");
  }

  /** The text, with the changes. */
  toString(): string {
    return `${this.#lines.join("\r\n")}\r\n\r\n`;
  }

  /** Name and value of each line. */
  entries(): [name: string, value: string][] {
    return this.#lines.slice(1).map((line) => {
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
    this.#open(() => ServerResponse.prototype.setHeader.call(this.#response, name, value));
  }

  delete(name: string): void {
    this.#replace(name, []);
    this.#open(() => ServerResponse.prototype.removeHeader.call(this.#response, name));
  }

  getSetCookie(): string[] {
    return this.#values("Set-Cookie");
  }

  setSetCookie(values: string[]): void {
    this.#replace("Set-Cookie", values);
    this.#open(() => ServerResponse.prototype.setHeader.call(this.#response, "Set-Cookie", values));
  }

  #values(name: string): string[] {
    return this.#lines
      .filter((line, index) => index > 0 && isOf(line, name))
      .map((line) => line.slice(name.length + 2));
  }

  #replace(name: string, values: string[]): void {
    this.#lines = this.#lines.filter((line, index) => index === 0 || !isOf(line, name));
    for (const value of values) this.#lines.push(`${name}: ${value}`);
  }

  /** Node refuses changes for as long as there is a head. */
  #open(change: () => void): void {
    const response = this.#response;
    const { _header } = response;
    response._header = null;
    try {
      change();
    } finally {
      response._header = _header;
    }
  }
}

function isOf(line: string, name: string): boolean {
  return line[name.length] === ":" && line.slice(0, name.length).toLowerCase() === name.toLowerCase();
}
