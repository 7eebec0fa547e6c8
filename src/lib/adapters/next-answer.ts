/**
 * What Next.js makes of the errors that its `redirect()`, `notFound()` and the like throw in a route handler; undefined for
 * others. Left to Next.js they would be answered without the session's cookie. Their digest is all that tells them apart:
 * `NEXT_REDIRECT;replace;/url;307;` and `NEXT_HTTP_ERROR_FALLBACK;404`.
 */
export function nextAnswer(thrown: unknown): Response | undefined {
  const { digest } = (thrown ?? {}) as { digest?: unknown };
  if (typeof digest !== "string") return undefined;
  // A URL may have semicolons and, unencoded as it is, line breaks of its own.
  const redirect = /^NEXT_REDIRECT;(?:push|replace);(.+);(30[378]);$/s.exec(digest);
  if (redirect !== null) {
    return new Response(null, {
      status: Number(redirect[2]),
      headers: { Location: encodeLocation(redirect[1] ?? "") },
    });
  }
  const fallback = /^NEXT_HTTP_ERROR_FALLBACK;(40[134])$/.exec(digest);
  return fallback === null ? undefined : new Response(null, { status: Number(fallback[1]) });
}

/** Encodes a URL for a header, as a browser does for a request: a host in Punycode, all else beyond ASCII as percents of UTF-8. */
export function encodeLocation(location: string): string {
  if (/^[\x21-\x7e]*$/.test(location)) return location;
  // Of the scheme of the page, or of one of its own.
  const isRelativeToScheme = location.startsWith("//");
  const absolute = isRelativeToScheme ? `https:${location}` : location;
  if (URL.canParse(absolute)) {
    const { href } = new URL(absolute);
    return isRelativeToScheme ? href.slice("https:".length) : href;
  }
  return location.toWellFormed().replaceAll(/[^\x21-\x7e]+/g, encodeURIComponent);
}
