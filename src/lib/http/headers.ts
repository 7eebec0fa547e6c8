import { lowerAscii, trimBlanks } from "./ascii.ts";

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
