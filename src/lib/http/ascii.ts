/**
 * HTTP and browsers judge by bytes. JavaScript's `trim`, `\s`, `toLowerCase` and `toUpperCase` know Unicode and would take a byte A0 for a blank:
 * what reads a header uses these instead. test/architecture.test.ts holds that.
 */

/**
 * Removes spaces and tabs from both ends of a text, and nothing else: optional whitespace as HTTP defines it.
 *
 * @see RFC 9110, section 5.6.3
 */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (start < end && isBlank(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** Lowers the letters A to Z of a text, and no others. */
export function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0x20));
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
