import { defineEntry, type Value } from "../core/value.ts";

/** Maximum number of digits of an integer, as parsing takes quadratic time. */
export const MAX_DIGITS = 1000;
/** Maximum depth of arrays and objects, above that of any session. */
const MAX_NESTING = 1000;

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;

/**
 * Parses JSON like `JSON.parse`, except that an integer beyond ±(2^53-1) becomes a bigint instead of a rounded number. As with `JSON.parse`,
 * other numbers may overflow to Infinity.
 *
 * @throws SyntaxError, without quoting the text, for invalid JSON, for an integer of more than 1,000 digits, and for more than 1,000 levels
 */
export function parseJson(text: string): Value {
  let at = 0;
  /** The open containers, each with the name whose value comes next (unused in arrays). */
  const open: (Value[] | { [key: string]: Value })[] = [];
  const names: string[] = [];

  const fail = (): never => {
    throw new SyntaxError(`not JSON at character ${at}`);
  };

  /** Skips white space and returns the next character, "" at the end. */
  const peek = (): string => {
    for (; at < text.length; at++) {
      const char = text.charAt(at);
      if (char !== " " && char !== "\n" && char !== "\r" && char !== "\t") return char;
    }
    return "";
  };

  const readString = (): string => {
    const start = at;
    let end = start;
    let escaped = true;
    while (escaped) {
      end = text.indexOf('"', end + 1);
      if (end === -1) return fail();
      let backslash = end;
      while (text.charAt(backslash - 1) === "\\") backslash--;
      escaped = (end - backslash) % 2 === 1;
    }
    at = end + 1;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      // The message of JSON.parse would quote the text.
      return fail();
    }
  };

  const readName = (): string => {
    if (peek() !== '"') fail();
    const name = readString();
    if (peek() !== ":") fail();
    at++;
    return name;
  };

  const readNumber = (): number | bigint => {
    NUMBER.lastIndex = at;
    const match = NUMBER.exec(text);
    if (match === null) return fail();
    const [literal, fraction, exponent] = match;
    at += literal.length;
    const number = Number(literal);
    if (fraction !== undefined || exponent !== undefined || Number.isSafeInteger(number)) return number;
    return literal.replace("-", "").length <= MAX_DIGITS ? BigInt(literal) : fail();
  };

  const readWord = (word: string, value: Value): Value => {
    if (!text.startsWith(word, at)) fail();
    at += word.length;
    return value;
  };

  const readScalar = (first: string): Value => {
    switch (first) {
      case '"':
        return readString();
      case "t":
        return readWord("true", true);
      case "f":
        return readWord("false", false);
      case "n":
        return readWord("null", null);
      default:
        return readNumber();
    }
  };

  /** Opens containers down to the next complete value: a scalar or an empty container. */
  const descend = (): Value => {
    for (;;) {
      const first = peek();
      if (first !== "{" && first !== "[") return readScalar(first);
      at++;
      const container = first === "{" ? {} : [];
      if (peek() === (first === "{" ? "}" : "]")) {
        at++;
        return container;
      }
      if (open.push(container) > MAX_NESTING) throw new SyntaxError(`nesting deeper than ${MAX_NESTING}`);
      names.push(first === "{" ? readName() : "");
    }
  };

  let value = descend();
  // Each turn adds a value to its container, then reads the next value or closes the container, which is then the value.
  for (let container = open.at(-1); container !== undefined; container = open.at(-1)) {
    const last = open.length - 1;
    if (Array.isArray(container)) container.push(value);
    else defineEntry(container, names[last] ?? "", value);
    const next = peek();
    if (next === ",") {
      at++;
      if (!Array.isArray(container)) names[last] = readName();
      value = descend();
    } else {
      if (next !== (Array.isArray(container) ? "]" : "}")) fail();
      at++;
      value = container;
      open.pop();
      names.pop();
    }
  }
  if (peek() !== "") fail();
  return value;
}
