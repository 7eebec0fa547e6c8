/**
 * The token of an Authorization header of the Bearer scheme; undefined when it has another.
 *
 * @see RFC 6750, section 2.1
 */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 1024) return undefined;
  return /^bearer +([^ ,]+) *$/i.exec(header)?.[1];
}
