import { cookieValues, setCookie } from "../http/cookie.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../http/csrf-token.ts";
import { isOriginOf } from "../http/same-origin.ts";
import { createToken, isToken } from "../core/token.ts";
import type { ResolvedDashboard } from "./options.ts";

/** A request, as a web-standard Request and as the framework has it. */
export interface Visit {
  request: Request;
  /** The framework's own request, which `authorize` and the manager know. */
  original: object;
}

/** CSRF token of a form, with the cookie that it may need. */
export interface FormToken {
  /** Value of the form's hidden field. */
  token: string;
  /** Set-Cookie header that binds the token to this browser. Undefined: the browser has the cookie or a session. */
  setCookie: string | undefined;
}

/** The viewer's session, of whichever data. */
interface ViewerSession {
  status?: unknown;
  id?: unknown;
  token?: unknown;
}

const COOKIE = "pgstore_dashboard";

/**
 * Creates the CSRF token of a form. It is bound to the viewer's session if the manager has loaded one, otherwise to a random cookie. Either
 * way any process can check it.
 */
export async function createFormToken({ manager }: ResolvedDashboard, visit: Visit): Promise<FormToken> {
  const [secret] = await secretsOf(manager, visit);
  if (secret !== undefined) return { token: csrfTokenOf(secret), setCookie: undefined };
  const created = createToken();
  // Without a path the cookie is for the dashboard's folder, also where a proxy has renamed that.
  const cookie = strictCookie(COOKIE, "", visit.request.url.startsWith("https:"), created);
  return { token: csrfTokenOf(created), setCookie: cookie };
}

/** Writes a Set-Cookie header for this host alone, which neither scripts nor requests from other sites get. */
export function strictCookie(name: string, path: string, isSecure: boolean, value: string): string {
  const attributes = { name, path, domain: undefined, httpOnly: true, sameSite: "strict", partitioned: false } as const;
  return setCookie(attributes, isSecure, value);
}

/** Says whether a CSRF token belongs to this browser. */
export async function isFormToken({ manager }: ResolvedDashboard, visit: Visit, presented: unknown): Promise<boolean> {
  return (await secretsOf(manager, visit)).some((secret) => isCsrfTokenOf(secret, presented));
}

/** Says whether a page of this host sent a request. False without Sec-Fetch-Site and Origin, as every browser sends one of them. */
export function isSameOrigin({ headers, url }: Request): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = headers.get("origin");
  return origin !== null && isOriginOf(origin, headers.get("host") ?? new URL(url).host);
}

/** Returns the id of the viewer's own session. */
export async function currentIdOf(
  { manager, currentSession }: ResolvedDashboard,
  { original }: Visit,
): Promise<string | undefined> {
  const id = currentSession ? await currentSession(original) : (await viewerSession(manager, original))?.id;
  return typeof id === "string" ? id : undefined;
}

/** Returns the secrets to which a form of this viewer can be bound. */
async function secretsOf(
  manager: ResolvedDashboard["manager"],
  { request, original }: Visit,
): Promise<readonly string[]> {
  const session = await viewerSession(manager, original);
  if (session === undefined) return cookieValues(request.headers.get("cookie") ?? undefined, COOKIE, isToken);
  return typeof session.token === "string" ? [session.token] : [];
}

/** Returns the session that the manager's middleware has loaded, if it is stored. A lazy session is loaded now. */
async function viewerSession(
  manager: ResolvedDashboard["manager"],
  original: object,
): Promise<ViewerSession | undefined> {
  if (!manager.has(original)) return undefined;
  const session = (await manager.sessionOf(original)) as ViewerSession;
  return session.status === "new" || session.status === "destroyed" ? undefined : session;
}
