import { count } from "../../core/format-number.ts";
import { atMost } from "../../core/time.ts";
import type { UserSession } from "../../manager/user-sessions.ts";
import { describeUserAgent } from "../user-agent.ts";
import { instant, relative } from "./format.ts";
import { type Content, type Html, html } from "./html.ts";
import { link, PAGES } from "./layout.ts";
import type { DashboardManager } from "../options.ts";
import { findAt, hashOf, placeIn } from "../session-place.ts";
import { isUserId } from "./users.ts";

/** Time that a page waits until all sessions are revoked. Some proxies wait no longer than 30 seconds. */
const MAX_WAIT_MS = 20_000;

/** Sessions of a user that are counted for the confirmation. */
const MAX_COUNTED_SESSIONS = 100;

/** A request to revoke sessions. */
export type Revocation =
  | { kind: "one"; userId: string; session: UserSession }
  | { kind: "others"; userId: string; session: UserSession }
  | { kind: "all"; userId: string }
  /** Every session of every user, and every anonymous one. */
  | { kind: "everyone"; userId: undefined }
  | { kind: "gone"; userId: string };

/** Data of the confirmation page. */
export interface Question {
  revocation: Exclude<Revocation, { kind: "gone" }>;
  /** Query that the revocation was read from. The form repeats it. */
  fields: URLSearchParams;
  csrfToken: string;
  /** Id of the viewer's own session. */
  currentId: string | undefined;
  /** Milliseconds since 1970 by the store's clock. */
  now: number;
}

/** Reads a revocation from a query or a form. Undefined: there is no valid one. @throws PgStoreError when the store fails */
export async function revocationOf(
  manager: DashboardManager,
  fields: URLSearchParams,
  currentId: string | undefined,
): Promise<Revocation | undefined> {
  if (fields.get("everyone") === "1" && !fields.has("user")) return { kind: "everyone", userId: undefined };
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
  ended: number;
  /** Whether the page has stopped waiting while more sessions are revoked. */
  goesOn?: boolean;
}

/** Revokes sessions. Revoking those of everybody goes on in the background after 20 seconds. */
export async function revoke(manager: DashboardManager, revocation: Revocation): Promise<Outcome> {
  switch (revocation.kind) {
    case "one":
      return { ended: Number(await manager.destroyById(revocation.session.id, { userId: revocation.userId })) };
    case "others":
      return { ended: await manager.destroyByUser(revocation.userId, { except: revocation.session.id }) };
    case "all":
      return { ended: await manager.destroyByUser(revocation.userId) };
    case "everyone":
      return revokeEveryone(manager);
    case "gone":
      return { ended: 0 };
  }
}

async function revokeEveryone(manager: DashboardManager): Promise<Outcome> {
  let [ended, goesOn] = [0, true];
  const all = manager.destroyAll({ onProgress: (progress) => (ended = progress.ended) }).then(() => (goesOn = false));
  // A failure after the wait is not reported.
  all.catch(() => {});
  await atMost(all, MAX_WAIT_MS);
  return { ended, goesOn };
}

/** Renders the page that asks for confirmation. @throws PgStoreError when the store fails */
export async function confirmationPage(
  manager: DashboardManager,
  { revocation, fields, csrfToken, currentId, now }: Question,
): Promise<Html> {
  if (revocation.kind === "everyone") return everyonePage(csrfToken);
  const { kind, userId } = revocation;
  const kept = kind === "others" ? revocation.session.id : undefined;
  const listed =
    kind === "one"
      ? [revocation.session]
      : await manager.listByUser(userId, { limit: MAX_COUNTED_SESSIONS + 2, current: currentId });
  const ended = listed.filter(({ id }) => id !== kept);
  const number = ended.length > MAX_COUNTED_SESSIONS ? `more than ${MAX_COUNTED_SESSIONS}` : count(ended.length);
  const user = html`<bdi>${userId}</bdi>`;
  const texts = {
    one: [html`End this session of ${user}?`, "End the session", undefined],
    others: [
      html`End all other sessions of ${user}?`,
      "End all others",
      `Sessions that end: ${number}. Only this one goes on:`,
    ],
    all: [html`End all sessions of ${user}?`, "End all sessions", `Sessions that end: ${number}.`],
  } satisfies Record<typeof kind, [Html, string, string | undefined]>;
  const [question, button, hint] = texts[kind];
  const isOwn = ended.some((session) => session.current);
  const hidden = ["user", "session", "created", "others"].map((name) => {
    const value = fields.get(name);
    return value === null ? undefined : html`<input type="hidden" name="${name}" value="${value}" />`;
  });
  return html`<h1>${question}</h1>
    <section class="card narrow">
      ${isOwn ? html`<p class="warning">You are using such a session yourself: you will be logged out.</p>` : undefined}
      ${hint === undefined ? undefined : html`<p>${hint}</p>`}
      ${kind === "all" ? undefined : facts(revocation.session, now)}
      <form method="post" action="${PAGES.end}" class="actions">
        <input type="hidden" name="_csrf" value="${csrfToken}" />
        ${hidden}
        <button class="danger">${button}</button>
        <a class="button" href="${link(PAGES.user, { id: userId })}">Cancel</a>
      </form>
    </section>`;
}

function everyonePage(csrfToken: string): Html {
  return html`<h1>End all sessions of everybody?</h1>
    <section class="card narrow">
      <p class="warning">Everybody is logged out, you included.</p>
      <form method="post" action="${PAGES.end}" class="actions">
        <input type="hidden" name="_csrf" value="${csrfToken}" />
        <input type="hidden" name="everyone" value="1" />
        <button class="danger">End every session</button>
        <a class="button" href="${PAGES.overview}">Cancel</a>
      </form>
    </section>`;
}

function facts(session: UserSession, now: number): Html {
  const { ip, userAgent, created, lastSeen, expiry } = session;
  const rows: [name: string, value: Content][] = [
    ["Device", html`${describeUserAgent(userAgent)} <span class="hint">${userAgent}</span>`],
    ["IP address", ip ?? "Not recorded"],
    ["Logged in", html`${instant(created)} (${relative(created, now)})`],
    ["Last seen", relative(lastSeen, now)],
    ["Expires", relative(expiry, now)],
    ["Id", html`<code>${hashOf(session)}</code>`],
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
