/** A stand-in for `next/server.js`, which vitest.config.ts resolves to this file. */
export const NextResponse = {
  next: (): Response => new Response(null, { headers: { "x-middleware-next": "1" } }),
};
