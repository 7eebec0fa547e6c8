/**
 * What Next.js makes of the errors that its `redirect()`, `notFound()` and the like throw in a route handler; undefined for
 * others. Left to Next.js they would be answered without the session's cookie. Their digest is all that tells them apart:
 * `NEXT_REDIRECT;replace;/url;307;` and `NEXT_HTTP_ERROR_FALLBACK;404`.
 */
export function nextAnswer(thrown: unknown): Response | undefined {
  const { digest } = (thrown ?? {}) as { digest?: unknown };
  if (typeof digest !== "string") return undefined;
  // A URL may have semicolons of its own.
  const redirect = /^NEXT_REDIRECT;(?:push|replace);(.+);(30[378]);$/.exec(digest);
  if (redirect !== null) {
    return new Response(null, { status: Number(redirect[2]), headers: { Location: redirect[1] ?? "" } });
  }
  const fallback = /^NEXT_HTTP_ERROR_FALLBACK;(40[134])$/.exec(digest);
  return fallback === null ? undefined : new Response(null, { status: Number(fallback[1]) });
}
