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

/** Directives that invite a cache to keep a response, or to overlook `no-store`. */
const INVITING =
  /^(?:public|immutable|must-understand|(?:max-age|s-maxage|stale-while-revalidate|stale-if-error)(?:[ \t]*=.*)?)$/i;

/** Directives of ours: each once. */
const OURS = /^(?:private|no-store)$/i;

/**
 * What some caches go by instead of Cache-Control: CDN-Cache-Control (RFC 9213) and that of any vendor (Cloudflare, Vercel,
 * Netlify, Akamai, LiteSpeed), Surrogate-Control (Fastly, Varnish), Edge-Control (Akamai), X-Accel-Expires (nginx).
 */
const TARGETED = /^(?:.+-cache-control|surrogate-control|edge-control|x-accel-expires)$/i;

/** Says whether a header is Cache-Control for some caches only. */
export function isTargetedCacheHeader(name: string): boolean {
  return TARGETED.test(name);
}

/** Says whether a targeted header can only keep a cache from storing: `no-store` and nothing to the contrary, or 0 seconds. */
export function forbidsStoring(value: string): boolean {
  if (trimBlanks(value) === "0") return true;
  const directives = directivesOf(value);
  return directives.some((directive) => lowerAscii(directive) === "no-store") && !directives.some(isInviting);
}

/**
 * Adds `private, no-store` to a Cache-Control header and drops what speaks for storing; the rest of what the application set
 * stays.
 *
 * @see RFC 9111, section 5.2.2
 */
export function withNoStore(cacheControl: string | undefined): string {
  const kept = directivesOf(cacheControl).filter((directive) => !OURS.test(directive) && !isInviting(directive));
  return [...kept, "private", "no-store"].join(", ");
}

/** Adds the name of a request header to a Vary header unless it, or `*`, is there. */
export function withVary(vary: string | undefined, name: string): string {
  if (vary === undefined) return name;
  const fields = directivesOf(vary);
  if (fields.some((field) => field === "*" || lowerAscii(field) === lowerAscii(name))) return fields.join(", ");
  return [...fields, name].join(", ");
}

function isInviting(directive: string): boolean {
  // Akamai's own spelling has a prefix: !max-age, cache-maxage.
  return INVITING.test(directive) || /^(?:!|cache-)?max-?age\b/i.test(directive);
}

function directivesOf(header = ""): string[] {
  return header
    .split(",")
    .map(trimBlanks)
    .filter((directive) => directive !== "");
}

/**
 * The token of an Authorization header of the Bearer scheme; undefined when it has another.
 *
 * @see RFC 6750, section 2.1
 */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 1024) return undefined;
  return /^bearer +([^ ,]+) *$/i.exec(header)?.[1];
}
