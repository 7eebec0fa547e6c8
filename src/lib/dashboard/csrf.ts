import { cookieValues, setCookie } from "../http/cookie.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../http/csrf-token.ts";
import { isOriginOf } from "../http/same-origin.ts";
import { createToken, isToken } from "../core/token.ts";
import { type PageVisit, viewerSession } from "./visit.ts";

const COOKIE = "pgstore_dashboard";

/**
 * Creates the CSRF token of a form. It is bound to the viewer's session if the manager has loaded one, otherwise to a random cookie. Either
 * way any process can check it.
 *
 * @returns the value of the form's hidden field, and the Set-Cookie header that binds it to a browser without the cookie or a session
 */
export async function createFormToken(visit: PageVisit): Promise<{ token: string; setCookie?: string }> {
  const [secret] = await secretsOf(visit);
  if (secret !== undefined) return { token: csrfTokenOf(secret) };
  const created = createToken();
  // Without a path the cookie is for the dashboard's folder, also where a proxy has renamed that.
  const setCookie = strictCookie(COOKIE, "", visit.request.url.startsWith("https:"), created);
  return { token: csrfTokenOf(created), setCookie };
}

/** Writes a Set-Cookie header for this host alone. Neither scripts nor requests from other sites get the cookie. */
export function strictCookie(name: string, path: string, isSecure: boolean, value: string): string {
  const attributes = { name, path, domain: undefined, httpOnly: true, sameSite: "strict", partitioned: false } as const;
  return setCookie(attributes, isSecure, value);
}

/** Says whether a CSRF token belongs to this browser. */
export async function isFormToken(visit: PageVisit, presented: unknown): Promise<boolean> {
  return (await secretsOf(visit)).some((secret) => isCsrfTokenOf(secret, presented));
}

/** Says whether a page of this host sent a request. False without Sec-Fetch-Site and Origin, as every browser sends one of them. */
export function isSameOrigin({ headers, url }: Request): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = headers.get("origin");
  return origin !== null && isOriginOf(origin, headers.get("host") ?? new URL(url).host);
}

/** Returns the secrets to which a form of this viewer can be bound. */
async function secretsOf(visit: PageVisit): Promise<readonly string[]> {
  const session = await viewerSession(visit);
  if (session === undefined) return cookieValues(visit.request.headers.get("cookie") ?? undefined, COOKIE, isToken);
  return typeof session.token === "string" ? [session.token] : [];
}
