import { trimBlanks } from "./ascii.ts";

/** Cookies of one name that are told apart. A browser sends more than one only when somebody tosses them, or a release has changed their scope. */
const MAX_VALUES = 64;

/**
 * Finds the values of one cookie in a request's Cookie header, in the order in which they came, in one pass.
 *
 * Names are compared byte by byte: percent-decoding them would let `%5F%5FHost-` forge a prefix (CVE-2020-8184), and so would
 * trimming more than the spaces and tabs that browsers trim. Values are not decoded either, as a token needs none.
 *
 * @param header - the Cookie header; several headers joined by `;`
 * @returns distinct values that `accept` takes, at most 64
 * @see RFC 6265bis, section 5.8.3
 */
export function cookieValues(header: string | undefined, name: string, accept: (value: string) => boolean): string[] {
  const values = new Set<string>();
  if (header === undefined || !header.includes(name)) return [];
  let start = 0;
  let equals = -1;
  while (start < header.length && values.size < MAX_VALUES) {
    let end = header.indexOf(";", start);
    if (end === -1) end = header.length;
    // Sought only when passed: a header of many `;` before one `=` costs one scan, not one for each.
    if (equals < start) equals = header.indexOf("=", start);
    if (equals === -1) break;
    if (equals < end && trimBlanks(header.slice(start, equals)) === name) {
      const value = trimBlanks(header.slice(equals + 1, end));
      if (accept(value)) values.add(value);
    }
    start = end + 1;
  }
  return [...values];
}
