import { AsyncLocalStorage } from "node:async_hooks";
import type { CookieJar } from "../../src/cookies.ts";

/*
 * A stand-in for `next/headers.js`, which vitest.config.ts resolves to this file. Its functions find the request that a
 * test has begun. Next.js itself is tested in test/apps.
 */

interface NextRequest {
  /** The jar of Server Actions and route handlers. */
  mutable: CookieJar;
  /** The jar of Server Components. */
  sealed: CookieJar;
  headers: Headers;
  phase: "action" | "render";
}

const requests = new AsyncLocalStorage<NextRequest>();

function current(): NextRequest {
  const request = requests.getStore();
  if (request === undefined) throw new Error("`cookies` was called outside a request scope");
  return request;
}

export async function cookies(): Promise<CookieJar> {
  const { phase, mutable, sealed } = current();
  return phase === "action" ? mutable : sealed;
}

export async function headers(): Promise<Headers> {
  return current().headers;
}

/** Runs work as a Server Action or a route handler, or as the rendering of a page. */
export async function duringRequest<T>(
  phase: "action" | "render",
  jar: CookieJar,
  sent: Headers,
  work: () => T | Promise<T>,
): Promise<T> {
  const sealed: CookieJar = {
    get: (name) => jar.get(name),
    set: () => {
      throw new Error("Cookies can only be modified in a Server Action or Route Handler.");
    },
  };
  return requests.run({ mutable: jar, sealed, headers: sent, phase }, async () => work());
}
