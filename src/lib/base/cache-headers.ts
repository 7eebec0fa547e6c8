/** Directives that invite a cache to keep a response, or to overlook `no-store`. */
const INVITING =
  /^(?:public|immutable|must-understand|(?:max-age|s-maxage|stale-while-revalidate|stale-if-error)(?:\s*=.*)?)$/i;

/**
 * Adds `no-store` to a Cache-Control header and drops what speaks for storing; the rest of what the application set stays.
 *
 * @see RFC 9111, section 5.2.2
 */
export function withNoStore(cacheControl: string | undefined): string {
  const kept = (cacheControl ?? "")
    .split(",")
    .map((directive) => directive.trim())
    .filter((directive) => directive !== "" && directive.toLowerCase() !== "no-store" && !INVITING.test(directive));
  return [...kept, "no-store"].join(", ");
}

/** Adds the name of a request header to a Vary header unless it, or `*`, is there. */
export function withVary(vary: string | undefined, name: string): string {
  const fields = (vary ?? "")
    .split(",")
    .map((field) => field.trim())
    .filter((field) => field !== "");
  if (fields.some((field) => field === "*" || field.toLowerCase() === name.toLowerCase())) return fields.join(", ");
  return [...fields, name].join(", ");
}
