import { cookieValues, setCookie } from "../http/cookie.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../http/csrf-token.ts";
import { isOriginOf } from "../http/same-origin.ts";
import { createToken, isToken } from "../core/token.ts";
import type { ResolvedDashboard } from "./options.ts";

/** A request, and the framework's own, for which the manager has loaded the viewer's session. */
export interface Visit {
  request: Request;
  original: object;
}

/** Token of a form. */
export interface FormToken {
  /** Value of the form's hidden field. */
  token: string;
  /** Header that binds the token to this browser. Undefined: the browser has the cookie or a session. */
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
 * Makes the token of a form. It is bound to the viewer's session if the manager has loaded one, otherwise to a cookie that only
 * this browser has. Processes need to share nothing for either.
 */
export async function createFormToken({ manager }: ResolvedDashboard, visit: Visit): Promise<FormToken> {
  const [secret] = await secretsOf(manager, visit);
  if (secret !== undefined) return { token: csrfTokenOf(secret), setCookie: undefined };
  const created = createToken();
  // Without a path the browser keeps it to the folder that the dashboard is in, whatever a proxy calls that.
  const attributes = { name: COOKIE, path: "", domain: undefined, partitioned: false } as const;
  const isSecure = visit.request.url.startsWith("https:");
  const cookie = setCookie({ ...attributes, httpOnly: true, sameSite: "strict" }, isSecure, created);
  return { token: csrfTokenOf(created), setCookie: cookie };
}

/** Says whether a token was made for a form in this browser. */
export async function isFormToken({ manager }: ResolvedDashboard, visit: Visit, presented: unknown): Promise<boolean> {
  return (await secretsOf(manager, visit)).some((secret) => isCsrfTokenOf(secret, presented));
}

/** Says whether a page of this host sent a request. One that doesn't say where it comes from is refused: only browsers send forms. */
export function isSameOrigin({ headers, url }: Request): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = headers.get("origin");
  return origin !== null && isOriginOf(origin, headers.get("host") ?? new URL(url).host);
}

/** Returns the id of the viewer's session. */
export async function currentIdOf(
  { manager, currentSession }: ResolvedDashboard,
  { original }: Visit,
): Promise<string | undefined> {
  const id = currentSession ? await currentSession(original) : (await viewerSession(manager, original))?.id;
  return typeof id === "string" ? id : undefined;
}

/** Returns the secrets that a form of this viewer can be bound to. */
async function secretsOf(manager: ResolvedDashboard["manager"], { request, original }: Visit): Promise<string[]> {
  const session = await viewerSession(manager, original);
  if (session === undefined) return cookieValues(request.headers.get("cookie") ?? undefined, COOKIE, isToken);
  return typeof session.token === "string" ? [session.token] : [];
}

/** Returns the session that the manager's middleware has loaded, if it is stored. A lazy one is loaded now. */
async function viewerSession(
  manager: ResolvedDashboard["manager"],
  original: object,
): Promise<ViewerSession | undefined> {
  if (!manager.has(original)) return undefined;
  const session = (await manager.sessionOf(original)) as ViewerSession;
  return session.status === "new" || session.status === "destroyed" ? undefined : session;
}
