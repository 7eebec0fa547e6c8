import { count, shortId } from "../../core/format-number.ts";
import type { FoundSession } from "../../core/stats.ts";
import { atMost } from "../../core/time.ts";
import type { UserSession } from "../../manager/user-sessions.ts";
import type { ShownUser } from "../describe.ts";
import { describeUserAgent } from "../user-agent.ts";
import { instant, relative } from "./format.ts";
import { type Content, type Html, html } from "./html.ts";
import { link, PAGES } from "./layout.ts";
import type { DashboardManager } from "../options.ts";
import { findAt, findById, placeIn } from "../session-place.ts";
import type { PageVisit } from "../visit.ts";
import { isBeginningOfId, isUserId } from "./search-text.ts";
import { dotted, userFacts } from "./tables.ts";

/** Time that a page waits until all sessions are revoked. Some proxies wait no longer than 30 seconds. */
const MAX_WAIT_MS = 20_000;

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
  | { kind: "anonymous"; userId: undefined; session: FoundSession }
  | { kind: "gone"; userId: string | undefined };

/** Data of the confirmation page. */
interface Question {
  revocation: Exclude<Revocation, { kind: "gone" }>;
  csrfToken: string;
  /** Id of the viewer's own session. */
  currentId: string | undefined;
  /** The user as the application knows them. */
  user: ShownUser | undefined;
}

/** Reads a revocation from a query or a form. Undefined: there is no valid one. @throws PgStoreError when the store fails */
export async function revocationOf(
  manager: DashboardManager,
  fields: URLSearchParams,
  currentId: string | undefined,
): Promise<Revocation | undefined> {
  if (fields.get("everyone") === "1" && !fields.has("user")) return { kind: "everyone", userId: undefined };
  const text = fields.get("q");
  if (text !== null && !fields.has("user")) {
    if (!isBeginningOfId(text)) return undefined;
    const session = await findById(manager, text);
    if (session === undefined) return { kind: "gone", userId: undefined };
    // Revoked by the id alone only where no user is to be told.
    return session.userId === undefined ? { kind: "anonymous", userId: undefined, session } : undefined;
  }
  const userId = fields.get("user") ?? "";
  if (!isUserId(userId)) return undefined;
  if (!fields.has("session")) return fields.has("others") ? undefined : { kind: "all", userId };
  const place = placeIn(fields);
  if (place === undefined) return undefined;
  const session = await findAt(manager, userId, place, currentId);
  if (session === undefined) return { kind: "gone", userId };
  return { kind: fields.has("others") ? "others" : "one", userId, session };
}

/** Outcome of a revocation. */
export interface Outcome {
  revoked: number;
  /** Whether the page has stopped waiting while more sessions are revoked. */
  goesOn?: boolean;
}

/** Revokes sessions. Revoking the sessions of all users goes on in the background after 20 seconds. */
export async function revoke(manager: DashboardManager, revocation: Revocation): Promise<Outcome> {
  switch (revocation.kind) {
    case "one":
      return { revoked: Number(await manager.destroyById(revocation.session.id, { userId: revocation.userId })) };
    case "anonymous":
      return { revoked: Number(await manager.destroyById(revocation.session.id)) };
    case "others":
      return { revoked: await manager.destroyByUser(revocation.userId, { except: revocation.session.id }) };
    case "all":
      return { revoked: await manager.destroyByUser(revocation.userId) };
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
  all.catch(() => {});
  await atMost(all, MAX_WAIT_MS);
  return { revoked, goesOn };
}

/** Renders the page that asks for confirmation. @throws PgStoreError when the store fails */
export async function confirmationPage(
  visit: PageVisit,
  { revocation, csrfToken, currentId, user }: Question,
): Promise<Html> {
  const { dashboard, query: fields, now } = visit;
  if (revocation.kind === "everyone") return everyonePage(csrfToken);
  if (revocation.kind === "anonymous") return anonymousPage(visit, revocation.session, csrfToken, currentId);
  const { kind, userId } = revocation;
  const kept = kind === "others" ? revocation.session.id : undefined;
  const listed =
    kind === "one"
      ? [revocation.session]
      : await dashboard.manager.listByUser(userId, { limit: MAX_COUNTED_SESSIONS + 2, current: currentId });
  const over = listed.filter(({ id }) => id !== kept);
  const number = over.length > MAX_COUNTED_SESSIONS ? `more than ${MAX_COUNTED_SESSIONS}` : count(over.length);
  const name = html`<bdi>${user?.name ?? userId}</bdi>`;
  const texts = {
    one: [html`Revoke this session of ${name}?`, "Revoke the session", undefined],
    others: [
      html`Revoke all other sessions of ${name}?`,
      "Revoke all others",
      `Sessions to revoke: ${number}. Only this one goes on:`,
    ],
    all: [html`Revoke all sessions of ${name}?`, "Revoke all sessions", `Sessions to revoke: ${number}.`],
  } satisfies Record<typeof kind, [Html, string, string | undefined]>;
  const [question, button, hint] = texts[kind];
  const isOwn = over.some((session) => session.current);
  return html`<h1>${question}</h1>
    <section class="card narrow">
      ${user?.name === undefined ? undefined : html`<p class="soft">${dotted(userFacts(user))}</p>`}
      ${isOwn ? warning : undefined} ${hint === undefined ? undefined : html`<p>${hint}</p>`}
      ${kind === "all" ? undefined : facts(revocation.session, now)}
      ${form(csrfToken, fields, button, link(PAGES.user, { id: userId }))}
    </section>`;
}

const warning = html`<p class="warning">Your own session is one of these. If you revoke it, you are logged out.</p>`;

function everyonePage(csrfToken: string): Html {
  const fields = new URLSearchParams({ everyone: "1" });
  return html`<h1>Revoke every session of every user?</h1>
    <section class="card narrow">
      <p class="warning">This logs everybody out, you included.</p>
      ${form(csrfToken, fields, "Revoke every session", PAGES.overview)}
    </section>`;
}

function anonymousPage(
  { query: fields, now }: PageVisit,
  session: FoundSession,
  csrfToken: string,
  currentId: string | undefined,
): Html {
  return html`<h1>Revoke this session?</h1>
    <section class="card narrow">
      <p>Nobody is logged in to it. What it holds, such as a basket, is lost.</p>
      ${session.id === currentId ? warning : undefined} ${facts(session, now)}
      ${form(csrfToken, fields, "Revoke the session", link(PAGES.sessions, { q: fields.get("q") ?? "" }))}
    </section>`;
}

/** Renders the form, which repeats the fields of the query. Its button is final. */
function form(csrfToken: string, fields: URLSearchParams, button: string, cancel: string): Html {
  const hidden = ["user", "session", "created", "others", "everyone", "q"].map((name) => {
    const value = fields.get(name);
    return value === null ? undefined : html`<input type="hidden" name="${name}" value="${value}" />`;
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
