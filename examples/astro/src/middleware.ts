import { defineMiddleware } from "astro:middleware";

/** Astro leaves caching to the application: no shared cache may store a response that sets a cookie. */
export const onRequest = defineMiddleware(async ({ cookies }, next) => {
  const response = await next();
  if (!cookies.headers().next().done) response.headers.set("Cache-Control", "private, no-store");
  return response;
});
