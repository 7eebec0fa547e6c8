/** Headers by which browsers say that they fetch in advance: Chromium, older ones and Safari, old Firefox. */
const HEADERS = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/**
 * Says whether nobody may ever see the answer to a request: a HEAD, or one that a browser makes in advance.
 *
 * @see https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Purpose
 */
export function isSpeculative(
  method: string | undefined,
  header: (name: string) => string | string[] | null | undefined,
): boolean {
  return (
    method === "HEAD" || HEADERS.some((name) => /\b(?:prefetch|prerender|preview)\b/i.test(String(header(name) ?? "")))
  );
}
