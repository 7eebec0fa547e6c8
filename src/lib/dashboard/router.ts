import { isResponse } from "../adapters/fetch.ts";
import { SchemaError, StoreOverloadedError, StoreUnavailableError } from "../core/errors.ts";
import { systemNow } from "../core/time.ts";
import type { ResolvedDashboard } from "./options.ts";
import { again as addressAgain, messagePage, type Page, pageOf, PAGES, refreshIn } from "./pages/layout.ts";
import { notMigrated } from "./pages/not-migrated.ts";
import { overviewPage } from "./pages/overview.ts";
import { confirmationPage, revokeNow } from "./pages/revoke.ts";
import { sessionsPage } from "./pages/sessions.ts";
import { userPage } from "./pages/user.ts";
import { usersPage } from "./pages/users.ts";
import { pageResponse, plainResponse, redirectResponse, refusal, styleResponse } from "./responses.ts";
import type { PageVisit, Visit } from "./visit.ts";

/** Target of a request within the dashboard. */
interface Target {
  /** Path below the prefix, percent-encoded as it came. It begins with a slash. */
  path: string;
  /** Last segment of a URL that names the dashboard without a slash at its end. Undefined for other URLs. */
  bare: string | undefined;
}

const SHOWN = new Map<string, (visit: PageVisit) => Promise<Page | Response>>([
  ["/", overviewPage],
  ["/users", usersPage],
  ["/user", userPage],
  ["/sessions", sessionsPage],
  ["/revoke", confirmationPage],
]);

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
    return refusal(dashboard, 404, "There is no such page", "Nothing is at this address.");
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
    if (!isRead || show === undefined) return await revokeNow(page);
    const shown = await show(page);
    return isResponse(shown) ? shown : await view(page, shown, path);
  } catch (error) {
    return failureResponse(dashboard, error);
  }
}

/** Returns the part of a path below a prefix. Undefined: the path is outside of it. */
function below(path: string, prefix: string): string | undefined {
  if (path === prefix) return "/";
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined;
}

/** Makes the response of a page, with a line about the database. */
async function view({ dashboard, query, now }: PageVisit, page: Page, path: string): Promise<Response> {
  const { title, manager } = dashboard;
  const address = path === "/" ? PAGES.overview : path.slice(1);
  const self = path === "/revoke" ? undefined : { page: address, query };
  const refresh = self && refreshIn(query);
  const markup = pageOf(title, page, { place: await placeOf(manager), now, self });
  return pageResponse(200, markup, {
    ...(page.setCookie === undefined ? {} : { "Set-Cookie": page.setCookie }),
    // A header and not a tag: it needs no script, and only a viewer who chose a refresh gets it.
    ...(refresh === undefined ? {} : { Refresh: `${refresh}; url=${addressAgain(address, query, refresh)}` }),
  });
}

/** Returns the names of the database and its host, if the store knows them. A failure doesn't break the page. */
async function placeOf({ store }: ResolvedDashboard["manager"]): Promise<string | undefined> {
  try {
    const place = await store.operations?.place();
    return place?.host === undefined ? place?.database : `${place.database} on ${place.host}`;
  } catch {
    return undefined;
  }
}

/** Makes a page of a failure that an operator can mend. Other failures are thrown on. */
function failureResponse(dashboard: ResolvedDashboard, error: unknown): Response {
  if (error instanceof SchemaError) {
    return pageResponse(503, messagePage(dashboard.title, "The table is not ready", notMigrated(error)));
  }
  if (error instanceof StoreUnavailableError || error instanceof StoreOverloadedError) {
    return refusal(dashboard, 503, "The database does not answer", "Try again soon.");
  }
  throw error;
}
