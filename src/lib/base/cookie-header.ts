/** How many cookies of one name are looked at; a browser sends more than one only when somebody tosses them. */
const MOST_VALUES = 4;

/**
 * Finds the values of one cookie in a request's Cookie header, in the order in which they came, in one pass.
 *
 * Names are compared as they stand: percent-decoding them would let `%5F%5FHost-` forge a prefix (CVE-2020-8184). Values
 * are not decoded either; a token needs none.
 *
 * @param header - the Cookie header; several headers joined by `;`
 * @returns distinct values that `accept` takes, at most four
 * @see RFC 6265bis, section 5.8.3
 */
export function cookieValues(header: string | undefined, name: string, accept: (value: string) => boolean): string[] {
  const values: string[] = [];
  if (header === undefined || !header.includes(name)) return values;
  let start = 0;
  let equals = -1;
  while (start < header.length && values.length < MOST_VALUES) {
    let end = header.indexOf(";", start);
    if (end === -1) end = header.length;
    // Sought only when passed: a header of many `;` before one `=` costs one scan, not one for each.
    if (equals < start) equals = header.indexOf("=", start);
    if (equals === -1) break;
    if (equals < end && header.slice(start, equals).trim() === name) {
      const value = header.slice(equals + 1, end).trim();
      if (!values.includes(value) && accept(value)) values.push(value);
    }
    start = end + 1;
  }
  return values;
}
