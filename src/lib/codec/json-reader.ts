import { defineEntry, type Value } from "../core/value.ts";

/** Maximum number of digits of an integer, as parsing takes quadratic time. */
const MAX_DIGITS = 1000;
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

  const readContainer = (container: Value[] | { [key: string]: Value }, end: string, depth: number): Value => {
    if (depth > MAX_NESTING) throw new SyntaxError(`nesting deeper than ${MAX_NESTING}`);
    at++;
    if (peek() === end) {
      at++;
      return container;
    }
    for (;;) {
      if (Array.isArray(container)) container.push(readValue(depth));
      else defineEntry(container, readName(), readValue(depth));
      const next = peek();
      if (next !== "," && next !== end) fail();
      at++;
      if (next === end) return container;
    }
  };

  /** @param depth - the number of containers around the value */
  const readValue = (depth: number): Value => {
    switch (peek()) {
      case "{":
        return readContainer({}, "}", depth + 1);
      case "[":
        return readContainer([], "]", depth + 1);
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

  const value = readValue(0);
  if (peek() !== "") fail();
  return value;
}
