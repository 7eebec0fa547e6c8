/*
 * HTTP and browsers compare bytes. JavaScript's `trim`, `\s`, `toLowerCase` and `toUpperCase` follow Unicode and would treat a byte A0 as a
 * blank. Code that reads headers uses these functions instead, which test/architecture.test.ts checks.
 */

/**
 * Removes spaces and tabs, HTTP's optional whitespace, from both ends of a text.
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

/** Lowers the letters A to Z of a text. */
export function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0x20));
}

/** Tells whether a character is a space or a tab. */
export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Directives that allow a cache to store a response, or to ignore `no-store`. */
const INVITING =
  /^(?:public|immutable|must-understand|(?:max-age|s-maxage|stale-while-revalidate|stale-if-error)(?:[ \t]*=.*)?)$/i;

/** The directives that `withNoStore` adds. */
const ADDED = /^(?:private|no-store)$/i;

/**
 * Headers that some caches read instead of Cache-Control: CDN-Cache-Control (RFC 9213) and its vendors' variants (Cloudflare, Vercel,
 * Netlify, Akamai, LiteSpeed), Surrogate-Control (Fastly, Varnish), Edge-Control (Akamai), X-Accel-Expires (nginx).
 */
const TARGETED = /^(?:.+-cache-control|surrogate-control|edge-control|x-accel-expires)$/i;

/** Tells whether some caches read a header instead of Cache-Control. */
export function isTargetedCacheHeader(name: string): boolean {
  return TARGETED.test(name);
}

/** Tells whether a targeted header forbids storing: it has `no-store` and no directive to the contrary, or is 0 seconds. */
export function forbidsStoring(value: string): boolean {
  if (trimBlanks(value) === "0") return true;
  const directives = directivesOf(value);
  return directives.some((directive) => lowerAscii(directive) === "no-store") && !directives.some(isInviting);
}

/**
 * Adds `private, no-store` to a Cache-Control header and removes directives that allow storing. Other directives stay.
 *
 * @see RFC 9111, section 5.2.2
 */
export function withNoStore(cacheControl: string | null): string {
  const kept = directivesOf(cacheControl).filter((directive) => !ADDED.test(directive) && !isInviting(directive));
  return [...kept, "private", "no-store"].join(", ");
}

/** Adds the name of a request header to the Vary header of a response, unless it or `*` is present. */
export function addVary(headers: OpenHeaders, name: string): void {
  const vary = headers.get("Vary");
  if (vary === null) return headers.set("Vary", name);
  const fields = directivesOf(vary);
  if (fields.every((field) => field !== "*" && lowerAscii(field) !== lowerAscii(name))) fields.push(name);
  headers.set("Vary", fields.join(", "));
}

function isInviting(directive: string): boolean {
  // Akamai's own spelling has a prefix: !max-age, cache-maxage.
  return INVITING.test(directive) || /^(?:!|cache-)?max-?age\b/i.test(directive);
}

function directivesOf(header: string | null): string[] {
  return (header ?? "")
    .split(",")
    .map(trimBlanks)
    .filter((directive) => directive !== "");
}

/**
 * Reads the token of an Authorization header. Undefined when its scheme is not Bearer, or when it has more than 1024 characters.
 *
 * @see RFC 6750, section 2.1
 */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 1024) return undefined;
  return /^bearer +([^ ,]+) *$/i.exec(header)?.[1];
}

/** The headers of an unsent response: the part of the platform's `Headers` that a commit needs. */
export interface OpenHeaders {
  get(name: string): string | null;
  set(name: string, value: string): void;
  append(name: string, value: string): void;
  delete(name: string): void;
  keys(): Iterable<string>;
  getSetCookie(): string[];
}

/**
 * Headers that belong to one particular answer: they describe its body (`Content-*`, `ETag`), its transfer, its caching, the file that a
 * proxy sends instead (`X-Accel-Redirect`), and what the client does with it (`Location`, `Refresh`, `Set-Cookie`, `Clear-Site-Data`).
 * Security policies are not among them.
 */
const ENTITY_HEADER =
  /^(?:content-(?!security-policy).+|etag|last-modified|cache-control|expires|age|location|refresh|set-cookie|clear-site-data|accept-ranges|transfer-encoding|trailer|digest|repr-digest|(?:x-)?sourcemap|x-accel-(?!buffering).+|x-sendfile|x-lighttpd-send-file|x-litespeed-location)$/i;

/** Says whether a header must be removed when another answer replaces a failed one. */
export function isEntityHeader(name: string): boolean {
  return ENTITY_HEADER.test(name) || isTargetedCacheHeader(name);
}
