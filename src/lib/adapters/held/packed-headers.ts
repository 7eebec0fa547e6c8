import { lowerAscii, type OpenHeaders } from "../../http/headers.ts";

/** A head as Node passes it to nghttp2: `name \0 value \0 flags` for each field, with one character of flags, and the number of fields. */
export type PackedHead = [fields: string, count: number];

/** The head of an HTTP/2 response in nghttp2's form. */
export class PackedHeaders implements OpenHeaders {
  #fields: [name: string, value: string, flags: string][] = [];

  /** Parses the fields of a head. */
  constructor(packed: string) {
    for (let at = 0; at < packed.length;) {
      const name = packed.slice(at, packed.indexOf("\0", at));
      at += name.length + 1;
      const value = packed.slice(at, packed.indexOf("\0", at));
      at += value.length + 1;
      this.#fields.push([name, value, packed[at++] ?? "\0"]);
    }
  }

  get packed(): PackedHead {
    return [this.#fields.map(([name, value, flags]) => `${name}\0${value}\0${flags}`).join(""), this.#fields.length];
  }

  get(name: string): string | null {
    return this.#values(name).join(", ") || null;
  }

  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }

  append(name: string, value: string): void {
    this.#fields.push([lowerAscii(name), value, "\0"]);
  }

  delete(name: string): void {
    const key = lowerAscii(name);
    this.#fields = this.#fields.filter(([own]) => own !== key);
  }

  keys(): string[] {
    return this.#fields.map(([name]) => name);
  }

  getSetCookie(): string[] {
    return this.#values("set-cookie");
  }

  #values(name: string): string[] {
    return this.#fields.filter(([own]) => own === lowerAscii(name)).map(([, value]) => value);
  }
}
