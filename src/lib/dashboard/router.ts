import { systemNow } from "../core/time.ts";
import { SchemaError, StoreOverloadedError, StoreUnavailableError } from "../core/errors.ts";
import { pageAnswer, plainAnswer, redirectAnswer, styleAnswer } from "./answers.ts";
import { endingOf, endPage, performEnding } from "./pages/end-sessions.ts";
import { type Answer, type Ask, isResponse } from "./exchange.ts";
import { currentIdOf, isOurForm, isSameOrigin, proveForm } from "./csrf.ts";
import { type Html, html } from "./pages/html.ts";
import { type Frame, link, messagePage, pageOf, PAGES } from "./pages/layout.ts";
import type { ResolvedDashboard } from "./options.ts";
import { overview } from "./pages/overview.ts";
import { userPage, usersPage } from "./pages/users.ts";

/** What a page needs. */
interface Visit {
  ask: Ask;
  site: ResolvedDashboard;
  /** Milliseconds since 1970, by the store's clock. */
  now: number;
}

const SHOWN = new Map<string, (visit: Visit) => Promise<Answer>>([
  ["/", showOverview],
  ["/users", showUsers],
  ["/user", showUser],
  ["/end", askToEnd],
]);

/** Answers a request, if it is allowed to see anything. Never throws; a Response is one that `authorize` gave. */
export async function answer(site: ResolvedDashboard, ask: Ask): Promise<Answer | Response> {
  try {
    const allowed = await site.authorize(ask.request);
    if (isResponse(allowed)) return allowed;
    // Nothing but true: a user object, or a promise that was forgotten, is no permission.
    if (allowed !== true) return plainAnswer(403, "Forbidden\n");
    return await route(site, ask);
  } catch (error) {
    console.error("pgstore: the dashboard failed:", error);
    return plainAnswer(500, "Internal Server Error\n");
  }
}

/** What is not below the prefix. */
export function notFound(): Answer {
  return plainAnswer(404, "Not Found\n");
}

async function route(site: ResolvedDashboard, ask: Ask): Promise<Answer> {
  const { method, path } = ask;
  const isRead = method === "GET" || method === "HEAD";
  const show = SHOWN.get(path);
  const isStyle = path === `/${PAGES.style}`;
  if (show === undefined && !isStyle) {
    return pageAnswer(404, messagePage(site.title, "There is no such page", html`Nothing is at this address.`));
  }
  const takesPost = path === "/end";
  if (!isRead && !(takesPost && method === "POST")) {
    return plainAnswer(405, "Method Not Allowed\n", { Allow: takesPost ? "GET, HEAD, POST" : "GET, HEAD" });
  }
  if (isStyle) return styleAnswer(ask);
  // Its links are relative to the folder. "./", or a colon in the name would make a scheme of it.
  if (ask.bare !== undefined) {
    const query = ask.query.toString();
    return redirectAnswer(307, `./${ask.bare}/${query === "" ? "" : `?${query}`}`);
  }
  try {
    const visit = { ask, site, now: (await site.manager.store.now?.()) ?? systemNow() };
    return await (isRead && show !== undefined ? show(visit) : end(visit));
  } catch (error) {
    return answerFailure(site, error);
  }
}

async function showOverview(visit: Visit): Promise<Answer> {
  const { ask, site, now } = visit;
  const main = await overview(site.manager.store, ask.query, now);
  return page(visit, { heading: "Overview", place: "overview", main });
}

async function showUsers(visit: Visit): Promise<Answer> {
  const { ask, site, now } = visit;
  const main = await usersPage(site.manager.store, ask.query, now);
  return page(visit, { heading: "Users", place: "users", search: ask.query.get("q") ?? "", main });
}

async function showUser(visit: Visit): Promise<Answer> {
  const { ask, site, now } = visit;
  if (site.manager.store.users === undefined) return withoutUsers(site);
  const main = await userPage(site.manager, ask.query, await currentIdOf(site, ask), now);
  if (main === undefined) return nonsense(site);
  return page(visit, { heading: `Sessions of ${ask.query.get("id")}`, place: "users", main });
}

async function askToEnd(visit: Visit): Promise<Answer> {
  const { ask, site, now } = visit;
  const { manager } = site;
  if (manager.store.users === undefined && !ask.query.has("everyone")) return withoutUsers(site);
  const current = await currentIdOf(site, ask);
  const ending = await endingOf(manager, ask.query, current);
  if (ending === undefined) return nonsense(site);
  if (ending.kind === "gone") return backToUser(ending.userId, 0);
  const proof = await proveForm(site, ask);
  const main = await endPage(manager, { ending, fields: ask.query, csrf: proof.token, current, now });
  const headers = proof.setCookie === undefined ? undefined : { "Set-Cookie": proof.setCookie };
  const place = ending.kind === "everyone" ? "overview" : "users";
  return page(visit, { heading: "End sessions", place, main }, headers);
}

async function end({ ask, site }: Visit): Promise<Answer> {
  if (!isSameOrigin(ask)) return forged(site);
  const form = await ask.form();
  if (form === undefined) {
    return pageAnswer(413, messagePage(site.title, "That did not work", html`The form could not be read.`), {
      Connection: "close",
    });
  }
  if (!(await isOurForm(site, ask, form.get("_csrf")))) return forged(site);
  if (site.manager.store.users === undefined && !form.has("everyone")) return withoutUsers(site);
  const ending = await endingOf(site.manager, form, undefined);
  if (ending === undefined) return nonsense(site);
  const { ended, goesOn } = await performEnding(site.manager, ending);
  if (ending.kind === "everyone") {
    return redirectAnswer(
      303,
      link(PAGES.overview, { ended: String(ended), ...(goesOn === true ? { more: "1" } : {}) }),
    );
  }
  return backToUser(ending.userId, ended);
}

function page({ site }: Visit, frame: Omit<Frame, "title">, headers?: Record<string, string>): Answer {
  return pageAnswer(200, pageOf({ title: site.title, ...frame }), headers);
}

/** POST, redirect, GET: reloading the page sends no form again. */
function backToUser(userId: string, ended: number): Answer {
  return redirectAnswer(303, link(PAGES.user, { id: userId, ended: String(ended) }));
}

function nonsense(site: ResolvedDashboard): Answer {
  return pageAnswer(404, messagePage(site.title, "There is no such user", html`Nobody can be called that.`));
}

function withoutUsers(site: ResolvedDashboard): Answer {
  const message = html`This store keeps no sessions by user.`;
  return pageAnswer(404, messagePage(site.title, "Users are not known", message));
}

function forged(site: ResolvedDashboard): Answer {
  const message = html`The form was not sent by this page, or it is an old one. Go back, reload, and try again.`;
  return pageAnswer(403, messagePage(site.title, "Nothing was ended", message));
}

/** What an operator can do something about is said. */
function answerFailure({ title }: ResolvedDashboard, error: unknown): Answer {
  const say = (heading: string, message: Html): Answer => pageAnswer(503, messagePage(title, heading, message));
  if (error instanceof SchemaError) return say("The table is not ready", html`${error.message}`);
  if (error instanceof StoreUnavailableError || error instanceof StoreOverloadedError) {
    return say("The database does not answer", html`Try again soon.`);
  }
  throw error;
}
