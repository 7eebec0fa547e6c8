import { cookieValues, setCookie } from "../http/cookie.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../http/csrf-token.ts";
import { isOriginOf } from "../http/same-origin.ts";
import { createToken, isToken } from "../core/token.ts";
import type { Ask } from "./exchange.ts";
import type { ResolvedDashboard } from "./options.ts";

/** What shows that a form was ours. */
export interface FormProof {
  /** Goes into the form. */
  token: string;
  /** Goes to the browser with it; undefined: the browser has it. */
  setCookie: string | undefined;
}

/** The viewer's session, as far as it matters here. */
interface ViewerSession {
  status?: unknown;
  id?: unknown;
  token?: unknown;
}

const COOKIE = "pgstore_dashboard";

/**
 * Makes the token for a form: bound to the viewer's session if the manager knows it, otherwise to a cookie that only this
 * browser has. Neither needs anything that several processes would have to share.
 */
export async function proveForm({ manager }: ResolvedDashboard, ask: Ask): Promise<FormProof> {
  const session = await viewerSession(manager, ask.request);
  const [known] = session === undefined ? cookiesOf(ask) : [session.token];
  if (typeof known === "string") return { token: csrfTokenOf(known), setCookie: undefined };
  const secret = createToken();
  // Without a path it is for the folder that the dashboard is in, as the browser sees it.
  const attributes = { name: COOKIE, path: "", domain: undefined, partitioned: false } as const;
  const cookie = setCookie({ ...attributes, httpOnly: true, sameSite: "strict" }, ask.isSecure, secret);
  return { token: csrfTokenOf(secret), setCookie: cookie };
}

/** Says whether a form comes from our own page in this browser. */
export async function isOurForm({ manager }: ResolvedDashboard, ask: Ask, presented: unknown): Promise<boolean> {
  const session = await viewerSession(manager, ask.request);
  const secrets = session === undefined ? cookiesOf(ask) : [session.token];
  return secrets.some((secret) => typeof secret === "string" && isCsrfTokenOf(secret, presented));
}

/** Browsers tell where a request comes from. What tells nothing is refused: nothing but a browser has to send these forms. */
export function isSameOrigin(ask: Ask): boolean {
  const site = ask.header("sec-fetch-site");
  if (site !== undefined) return site === "same-origin";
  const origin = ask.header("origin");
  return origin !== undefined && isOriginOf(origin, ask.host);
}

/** The id of the session of whoever looks at the dashboard. */
export async function currentIdOf(
  { manager, currentSession }: ResolvedDashboard,
  ask: Ask,
): Promise<string | undefined> {
  const id = currentSession ? await currentSession(ask.request) : (await viewerSession(manager, ask.request))?.id;
  return typeof id === "string" ? id : undefined;
}

/** The session that the manager's middleware has loaded, if it is stored; a lazy one is loaded now. */
async function viewerSession(
  manager: ResolvedDashboard["manager"],
  request: object,
): Promise<ViewerSession | undefined> {
  if (!manager.has(request)) return undefined;
  const session = (await manager.sessionOf(request)) as ViewerSession;
  return session.status === "new" || session.status === "destroyed" ? undefined : session;
}

function cookiesOf(ask: Ask): string[] {
  return cookieValues(ask.header("cookie"), COOKIE, isToken);
}
