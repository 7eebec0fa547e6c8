import { count, shortId } from "../../core/format-number.ts";
import type { FoundSession } from "../../core/stats.ts";
import { atMost } from "../../core/time.ts";
import { isUserId } from "../../core/user-id.ts";
import { readFields } from "../../http/form.ts";
import type { UserSession } from "../../manager/user-sessions.ts";
import { createFormToken, isFormToken, isSameOrigin } from "../csrf.ts";
import { describeUsers } from "../describe.ts";
import type { DashboardManager, ResolvedDashboard } from "../options.ts";
import { noSuchUser, redirectResponse, refusal, withoutUsers } from "../responses.ts";
import { findAt, findById, isBeginningOfId, placeIn } from "../session-place.ts";
import { describeUserAgent } from "../user-agent.ts";
import { currentIdOf, type PageVisit } from "../visit.ts";
import { instant, relative } from "./format.ts";
import { type Content, type Html, html } from "./html.ts";
import { link, type Page, PAGES } from "./layout.ts";
import { dotted, userFacts } from "./tables.ts";

/** Time that a page waits until all sessions are revoked. Some proxies wait no longer than 30 seconds. */
const MAX_WAIT_MS = 20_000;

/** Maximum size of a form. The dashboard's own are smaller. */
const MAX_FORM_BYTES = 16 * 1024;

/** Sessions of a user that are counted for the confirmation. */
const MAX_COUNTED_SESSIONS = 100;

/** A request to revoke sessions. */
type Revocation =
  | { kind: "one"; userId: string; session: UserSession }
  | { kind: "others"; userId: string; session: UserSession }
  | { kind: "all"; userId: string }
  /** Every session of every user, and every anonymous one. */
  | { kind: "everyone"; userId: undefined }
  /** An anonymous session, found by its id. */
  | { kind: "anonymous"; userId: undefined; session: FoundSession; text: string }
  | { kind: "gone"; userId: string | undefined };

/** Reads a revocation from a query or a form. Undefined: there is no valid one. @throws PgStoreError when the store fails */
async function revocationOf(
  dashboard: ResolvedDashboard,
  fields: URLSearchParams,
  currentId: string | undefined,
): Promise<Revocation | undefined> {
  if (fields.get("everyone") === "1" && !fields.has("user")) return { kind: "everyone", userId: undefined };
  const text = fields.get("q");
  if (text !== null && !fields.has("user")) {
    if (!isBeginningOfId(text)) return undefined;
    const session = await findById(dashboard.manager, text);
    if (session === undefined) return { kind: "gone", userId: undefined };
    // Revoked by the id alone only where no user is to be told.
    return session.userId === undefined ? { kind: "anonymous", userId: undefined, session, text } : undefined;
  }
  const userId = fields.get("user") ?? "";
  if (!isUserId(userId)) return undefined;
  if (!fields.has("session")) return fields.has("others") ? undefined : { kind: "all", userId };
  const place = placeIn(fields);
  if (place === undefined) return undefined;
  const session = await findAt(dashboard, userId, place, currentId);
  if (session === undefined) return { kind: "gone", userId };
  return { kind: fields.has("others") ? "others" : "one", userId, session };
}

/** Outcome of a revocation. */
interface Outcome {
  revoked: number;
  /** Whether the page has stopped waiting while more sessions are revoked. */
  goesOn?: boolean;
}

/** Revokes sessions. Revoking the sessions of all users goes on in the background after 20 seconds. */
async function revoke({ manager, users }: ResolvedDashboard, revocation: Revocation): Promise<Outcome> {
  switch (revocation.kind) {
    case "one":
      return { revoked: Number(await users.destroyById(revocation.session.id, { userId: revocation.userId })) };
    case "anonymous":
      return { revoked: Number(await users.destroyById(revocation.session.id)) };
    case "others":
      return { revoked: await users.destroyByUser(revocation.userId, { except: revocation.session.id }) };
    case "all":
      return { revoked: await users.destroyByUser(revocation.userId) };
    case "everyone":
      return revokeEveryone(manager);
    case "gone":
      return { revoked: 0 };
  }
}

async function revokeEveryone(manager: DashboardManager): Promise<Outcome> {
  let [revoked, goesOn] = [0, true];
  const all = manager.destroyAll({ onProgress: ({ ended }) => (revoked = ended) }).then(() => (goesOn = false));
  // A failure after the wait is not reported.
  await atMost(all, MAX_WAIT_MS);
  return { revoked, goesOn };
}

/** Renders the page that asks for confirmation. @throws PgStoreError when the store fails */
export async function confirmationPage(visit: PageVisit): Promise<Page | Response> {
  const { dashboard, query, now } = visit;
  if (dashboard.manager.store.users === undefined && !query.has("everyone")) return withoutUsers(dashboard);
  const currentId = await currentIdOf(visit);
  const revocation = await revocationOf(dashboard, query, currentId);
  if (revocation === undefined) return noSuchUser(dashboard);
  if (revocation.kind === "gone") return afterRevoking(revocation.userId, { revoked: 0 });
  const { question, texts, session, button, cancel } = await questionOf(dashboard, revocation, currentId);
  const { token, setCookie } = await createFormToken(visit);
  const main = html`<h1>${question}</h1>
    <section class="card narrow">
      ${texts} ${session && facts(session, now)} ${form(token, query, button, cancel)}
    </section>`;
  const section = revocation.kind === "everyone" ? "overview" : "users";
  return { heading: "Revoke sessions", section, main, setCookie };
}

/** Revokes what a form asks for. @throws PgStoreError when the store fails */
export async function revokeNow(visit: PageVisit): Promise<Response> {
  const { dashboard, request } = visit;
  if (!isSameOrigin(request)) return forged(dashboard);
  const form = await readFields(request, MAX_FORM_BYTES);
  if (form === undefined) {
    return refusal(dashboard, 413, "That did not work", "The form could not be read.", { Connection: "close" });
  }
  if (!(await isFormToken(visit, form.get("_csrf")))) return forged(dashboard);
  if (dashboard.manager.store.users === undefined && !form.has("everyone")) return withoutUsers(dashboard);
  const revocation = await revocationOf(dashboard, form, undefined);
  if (revocation === undefined) return noSuchUser(dashboard);
  return afterRevoking(revocation.userId, await revoke(dashboard, revocation));
}

function forged(dashboard: ResolvedDashboard): Response {
  const message = "The form was not sent by this page, or it is an old one. Go back, reload, and try again.";
  return refusal(dashboard, 403, "Nothing was revoked", message);
}

/** Redirects after a POST, so that reloading the page doesn't send the form again. */
function afterRevoking(userId: string | undefined, { revoked, goesOn }: Outcome): Response {
  const page = userId === undefined ? PAGES.overview : PAGES.user;
  const more = goesOn === true ? "1" : undefined;
  return redirectResponse(303, link(page, { id: userId, revoked: String(revoked), more }));
}

/** Contents of the page that asks for confirmation. */
interface Question {
  question: Html;
  texts: Content;
  /** The session to revoke, or the one to keep. */
  session?: UserSession | FoundSession | undefined;
  button: string;
  /** Address that leads back. */
  cancel: string;
}

async function questionOf(
  dashboard: ResolvedDashboard,
  revocation: Exclude<Revocation, { kind: "gone" }>,
  currentId: string | undefined,
): Promise<Question> {
  if (revocation.kind === "everyone") {
    const texts = html`<p class="warning">This logs everybody out, you included.</p>`;
    const question = html`Revoke every session of every user?`;
    return { question, texts, button: "Revoke every session", cancel: PAGES.overview };
  }
  if (revocation.kind === "anonymous") {
    const { session, text } = revocation;
    const texts = html`<p>Nobody is logged in to it. What it holds, such as a basket, is lost.</p>
      ${session.id === currentId && WARNING}`;
    const cancel = link(PAGES.sessions, { q: text });
    return { question: html`Revoke this session?`, texts, session, button: "Revoke the session", cancel };
  }
  const { kind, userId } = revocation;
  const session = kind === "all" ? undefined : revocation.session;
  const listed =
    kind === "one"
      ? [revocation.session]
      : await dashboard.users.listByUser(userId, { limit: MAX_COUNTED_SESSIONS + 2, current: currentId });
  const over = kind === "others" ? listed.filter(({ id }) => id !== session?.id) : listed;
  const number = over.length > MAX_COUNTED_SESSIONS ? `more than ${MAX_COUNTED_SESSIONS}` : count(over.length);
  const user = (await describeUsers(dashboard, [userId]))(userId);
  const name = html`<bdi>${user.name ?? userId}</bdi>`;
  const asked: Record<typeof kind, [question: Html, button: string, hint?: string]> = {
    one: [html`Revoke this session of ${name}?`, "Revoke the session"],
    others: [
      html`Revoke all other sessions of ${name}?`,
      "Revoke all others",
      `Sessions to revoke: ${number}. Only this one goes on:`,
    ],
    all: [html`Revoke all sessions of ${name}?`, "Revoke all sessions", `Sessions to revoke: ${number}.`],
  };
  const [question, button, hint] = asked[kind];
  const texts = html`${user.name !== undefined && html`<p class="soft">${dotted(userFacts(user))}</p>`}
  ${over.some(({ current }) => current) && WARNING} ${hint !== undefined && html`<p>${hint}</p>`}`;
  return { question, texts, session, button, cancel: link(PAGES.user, { id: userId }) };
}

const WARNING = html`<p class="warning">Your own session is one of these. If you revoke it, you are logged out.</p>`;

/** Renders the form, which repeats the fields of the query. Its button is final. */
function form(csrfToken: string, fields: URLSearchParams, button: string, cancel: string): Html {
  const hidden = ["user", "session", "created", "others", "everyone", "q"].map((name) => {
    const value = fields.get(name);
    return value !== null && html`<input type="hidden" name="${name}" value="${value}" />`;
  });
  return html`<form method="post" action="${PAGES.revoke}" class="actions">
    <input type="hidden" name="_csrf" value="${csrfToken}" />
    ${hidden}
    <button class="danger">${button}</button>
    <a class="button" href="${cancel}">Cancel</a>
  </form>`;
}

function facts(session: UserSession | FoundSession, now: number): Html {
  const { id, ip, userAgent, created, lastSeen, expiry } = session;
  const rows: [name: string, value: Content][] = [
    ["Device", html`${describeUserAgent(userAgent)} <span class="hint">${userAgent}</span>`],
    ["IP address", ip ?? "Not recorded"],
    ["Logged in", created === undefined ? "Never" : html`${instant(created)} (${relative(created, now)})`],
    ["Last seen", lastSeen === undefined ? "Not recorded" : relative(lastSeen, now)],
    ["Expires", relative(expiry, now)],
    ["Id", html`<code>${shortId(id)}</code>`],
  ];
  const shown = rows.map(
    ([name, value]) =>
      html`<div>
        <dt>${name}</dt>
        <dd>${value}</dd>
      </div>`,
  );
  return html`<dl class="facts">${shown}</dl>`;
}
