import { isResponse } from "../adapters/fetch.ts";
import { SchemaError, StoreOverloadedError, StoreUnavailableError } from "../core/errors.ts";
import { systemNow } from "../core/time.ts";
import { readFields } from "../http/form.ts";
import { createFormToken, isFormToken, isSameOrigin } from "./csrf.ts";
import type { ResolvedDashboard } from "./options.ts";
import { describeUsers } from "./describe.ts";
import { type Html, html } from "./pages/html.ts";
import { again as addressAgain, type Frame, link, messagePage, pageOf, PAGES, refreshIn } from "./pages/layout.ts";
import { notMigrated } from "./pages/not-migrated.ts";
import { overview } from "./pages/overview.ts";
import { confirmationPage, type Outcome, revocationOf, revoke } from "./pages/revoke.ts";
import { isAboutSessions, isUserId } from "./pages/search-text.ts";
import { sessionsPage } from "./pages/sessions.ts";
import { userPage } from "./pages/user.ts";
import { usersPage } from "./pages/users.ts";
import { pageResponse, plainResponse, redirectResponse, styleResponse } from "./responses.ts";
import { currentIdOf, type PageVisit, type Visit } from "./visit.ts";

/** Target of a request within the dashboard. */
interface Target {
  /** Path below the prefix, percent-encoded as it came. It begins with a slash. */
  path: string;
  /** Last segment of a URL that names the dashboard without a slash at its end. Undefined for other URLs. */
  bare: string | undefined;
}

const SHOWN = new Map<string, (visit: PageVisit) => Promise<Response>>([
  ["/", showOverview],
  ["/users", showUsers],
  ["/user", showUser],
  ["/sessions", showSessions],
  ["/revoke", askToRevoke],
]);

/** More than any form of the dashboard has. */
const MAX_FORM_BYTES = 16 * 1024;

/**
 * Finds the target of a request. Undefined: the request is outside of the prefix.
 *
 * @param sent - path as the client sent it
 * @param rest - rest of the path after a framework took off the path of a mount
 */
export function locate(prefix: string, sent: string, rest = sent): Target | undefined {
  const path = prefix === "" ? rest : below(sent, prefix);
  if (path === undefined) return undefined;
  return { path, bare: path === "/" ? sent.slice(sent.lastIndexOf("/") + 1) || undefined : undefined };
}

/**
 * Answers a request: 404 outside of the prefix, 403 without authorization, otherwise a page. Never rejects. `authorize` is called before
 * anything else is looked at, so that a response tells nothing to those who may not see the dashboard.
 */
export async function respond(
  dashboard: ResolvedDashboard,
  visit: Visit,
  target: Target | undefined,
): Promise<Response> {
  let response: Response;
  try {
    const allowed = target === undefined ? undefined : await dashboard.authorize(visit.original);
    if (isResponse(allowed)) return allowed;
    if (target === undefined) response = plainResponse(404, "Not Found\n");
    // Only true: a user object or a promise that was forgotten must not count as permission.
    else if (allowed !== true) response = plainResponse(403, "Forbidden\n");
    else response = await route(dashboard, visit, target);
  } catch (error) {
    console.error("pgstore: the dashboard failed:", error);
    response = plainResponse(500, "Internal Server Error\n");
  }
  return visit.request.method === "HEAD" ? new Response(null, response) : response;
}

async function route(dashboard: ResolvedDashboard, visit: Visit, { path, bare }: Target): Promise<Response> {
  const { request } = visit;
  const { method } = request;
  const isRead = method === "GET" || method === "HEAD";
  const show = SHOWN.get(path);
  const isStyle = path === `/${PAGES.style}`;
  if (show === undefined && !isStyle) {
    return refusal(dashboard, 404, "There is no such page", html`Nothing is at this address.`);
  }
  const takesPost = path === "/revoke";
  if (!isRead && !(takesPost && method === "POST")) {
    return plainResponse(405, "Method Not Allowed\n", { Allow: takesPost ? "GET, HEAD, POST" : "GET, HEAD" });
  }
  if (isStyle) return styleResponse(request);
  const { searchParams: query } = new URL(request.url);
  // Relative links need the slash. Without "./" a colon in the name would make it a scheme.
  if (bare !== undefined) return redirectResponse(307, `./${bare}/${query.size === 0 ? "" : `?${query.toString()}`}`);
  try {
    const now = (await dashboard.manager.store.now?.()) ?? systemNow();
    const page = { ...visit, dashboard, query, now };
    return await (isRead && show !== undefined ? show(page) : revokeNow(page));
  } catch (error) {
    return failureResponse(dashboard, error);
  }
}

/** Returns the part of a path below a prefix. Undefined: the path is outside of it. */
function below(path: string, prefix: string): string | undefined {
  if (path === prefix) return "/";
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined;
}

async function showOverview(visit: PageVisit): Promise<Response> {
  return view(visit, PAGES.overview, { heading: "Overview", section: "overview", main: await overview(visit) });
}

async function showUsers(visit: PageVisit): Promise<Response> {
  const search = visit.query.get("q") ?? "";
  if (isAboutSessions(search) && !visit.query.has("as"))
    return redirectResponse(303, link(PAGES.sessions, { q: search }));
  const main = await usersPage(visit);
  return view(visit, PAGES.users, { heading: "Users", section: "users", search, main });
}

async function showSessions(visit: PageVisit): Promise<Response> {
  const search = visit.query.get("q") ?? "";
  const main = await sessionsPage(visit);
  return view(visit, PAGES.sessions, { heading: "Sessions", section: "users", search, main });
}

async function showUser(visit: PageVisit): Promise<Response> {
  const { dashboard, query } = visit;
  if (dashboard.manager.store.users === undefined) return withoutUsers(dashboard);
  const userId = query.get("id") ?? "";
  if (!isUserId(userId)) return noSuchUser(dashboard);
  const user = (await describeUsers(dashboard, [userId]))(userId);
  const main = await userPage(visit, user);
  return view(visit, PAGES.user, { heading: `Sessions of ${user.name ?? userId}`, section: "users", main });
}

async function askToRevoke(visit: PageVisit): Promise<Response> {
  const { dashboard, query } = visit;
  const { manager } = dashboard;
  if (manager.store.users === undefined && !query.has("everyone")) return withoutUsers(dashboard);
  const currentId = await currentIdOf(visit);
  const revocation = await revocationOf(manager, query, currentId);
  if (revocation === undefined) return noSuchUser(dashboard);
  if (revocation.kind === "gone") return afterRevoking(revocation.userId, { revoked: 0 });
  const { userId } = revocation;
  const user = userId === undefined ? undefined : (await describeUsers(dashboard, [userId]))(userId);
  const { token, setCookie } = await createFormToken(visit);
  const main = await confirmationPage(visit, { revocation, csrfToken: token, currentId, user });
  const section = revocation.kind === "everyone" ? "overview" : "users";
  const headers = setCookie === undefined ? undefined : { "Set-Cookie": setCookie };
  return view(visit, undefined, { heading: "Revoke sessions", section, main }, headers);
}

async function revokeNow(visit: PageVisit): Promise<Response> {
  const { dashboard, request } = visit;
  const { manager } = dashboard;
  if (!isSameOrigin(request)) return forged(dashboard);
  const form = await readFields(request, MAX_FORM_BYTES);
  if (form === undefined) {
    const message = html`The form could not be read.`;
    return refusal(dashboard, 413, "That did not work", message, { Connection: "close" });
  }
  if (!(await isFormToken(visit, form.get("_csrf")))) return forged(dashboard);
  if (manager.store.users === undefined && !form.has("everyone")) return withoutUsers(dashboard);
  const revocation = await revocationOf(manager, form, undefined);
  if (revocation === undefined) return noSuchUser(dashboard);
  return afterRevoking(revocation.userId, await revoke(manager, revocation));
}

/** Makes the response of a view of the database. @param path - of a page that may load itself again */
async function view(
  { dashboard, query, now }: PageVisit,
  path: string | undefined,
  frame: Omit<Frame, "title" | "status">,
  headers: Record<string, string> = {},
): Promise<Response> {
  const { title, manager } = dashboard;
  const self = path === undefined ? undefined : { page: path, query };
  const status = { place: await placeOf(manager), now, self };
  const refresh = self && refreshIn(query);
  // A header and not a tag: it needs no script, and only a viewer who chose a refresh gets it.
  const again =
    self && refresh !== undefined ? { Refresh: `${refresh}; url=${addressAgain(self.page, query, refresh)}` } : {};
  return pageResponse(200, pageOf({ title, ...frame, status }), { ...headers, ...again });
}

/** Returns the names of the database and its host, if the store knows them. A failure doesn't break the page. */
async function placeOf({ store }: ResolvedDashboard["manager"]): Promise<string | undefined> {
  try {
    const place = await store.operations?.place();
    if (place === undefined) return undefined;
    return place.host === undefined ? place.database : `${place.database} on ${place.host}`;
  } catch {
    return undefined;
  }
}

/** Redirects after a POST, so that reloading the page doesn't send the form again. */
function afterRevoking(userId: string | undefined, { revoked, goesOn }: Outcome): Response {
  const page = userId === undefined ? PAGES.overview : PAGES.user;
  const more = goesOn === true ? "1" : undefined;
  return redirectResponse(303, link(page, { id: userId, revoked: String(revoked), more }));
}

function refusal(
  { title }: ResolvedDashboard,
  status: number,
  heading: string,
  message: Html,
  headers?: Record<string, string>,
): Response {
  return pageResponse(status, messagePage(title, heading, message), headers);
}

function noSuchUser(dashboard: ResolvedDashboard): Response {
  return refusal(dashboard, 404, "There is no such user", html`This is not a valid user id or session.`);
}

function withoutUsers(dashboard: ResolvedDashboard): Response {
  return refusal(dashboard, 404, "Users are not known", html`This store keeps no sessions by user.`);
}

function forged(dashboard: ResolvedDashboard): Response {
  const message = html`The form was not sent by this page, or it is an old one. Go back, reload, and try again.`;
  return refusal(dashboard, 403, "Nothing was revoked", message);
}

/** Makes a page of a failure that an operator can mend. Other failures are thrown on. */
function failureResponse(dashboard: ResolvedDashboard, error: unknown): Response {
  const { title } = dashboard;
  if (error instanceof SchemaError) return pageResponse(503, pageOf({ title, ...notMigrated(error) }));
  if (error instanceof StoreUnavailableError || error instanceof StoreOverloadedError) {
    return refusal(dashboard, 503, "The database does not answer", html`Try again soon.`);
  }
  throw error;
}
