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

/** Milliseconds that a page waits for the end of all sessions. */
const MAX_WAIT_MS = 20_000;

/** Sessions of a user that are counted before they are ended. */
const MAX_COUNTED_SESSIONS = 100;

/** What is to be ended. */
export type Revocation =
  | { kind: "one"; userId: string; session: UserSession }
  | { kind: "others"; userId: string; session: UserSession }
  | { kind: "all"; userId: string }
  /** Every session of every user, and of nobody. */
  | { kind: "everyone"; userId: undefined }
  | { kind: "gone"; userId: string };

/** What the confirmation is asked for. */
export interface Question {
  revocation: Exclude<Revocation, { kind: "gone" }>;
  /** Where the revocation comes from; it goes into the form. */
  fields: URLSearchParams;
  csrf: string;
  /** The session of whoever is asked. */
  current: string | undefined;
  now: number;
}

/** Reads from a query or a form what is to be ended. Undefined: it makes no sense. @throws as `manager.listByUser` */
export async function revocationOf(
  manager: DashboardManager,
  fields: URLSearchParams,
  current: string | undefined,
): Promise<Revocation | undefined> {
  if (fields.get("everyone") === "1" && !fields.has("user")) return { kind: "everyone", userId: undefined };
  const userId = fields.get("user") ?? "";
  if (!isUserId(userId)) return undefined;
  if (!fields.has("session")) return fields.has("others") ? undefined : { kind: "all", userId };
  const place = placeIn(fields);
  if (place === undefined) return undefined;
  const session = await findAt(manager, userId, place, current);
  if (session === undefined) return { kind: "gone", userId };
  return { kind: fields.has("others") ? "others" : "one", userId, session };
}

/** The outcome of a revocation. */
export interface Outcome {
  ended: number;
  /** It takes longer than a page can wait, and goes on. */
  goesOn?: boolean;
}

/** Does it. */
export async function revoke(manager: DashboardManager, revocation: Revocation): Promise<Outcome> {
  if (revocation.kind !== "everyone") return { ended: await revokeOfUser(manager, revocation) };
  let ended = 0;
  let goesOn = true;
  const all = manager.destroyAll({ onProgress: (progress) => (ended = progress.ended) }).then(() => (goesOn = false));
  // A proxy would not wait for the page much longer.
  all.catch(() => {});
  await atMost(all, MAX_WAIT_MS);
  return { ended, goesOn };
}

async function revokeOfUser(
  manager: DashboardManager,
  revocation: Exclude<Revocation, { kind: "everyone" }>,
): Promise<number> {
  switch (revocation.kind) {
    case "one":
      return (await manager.destroyById(revocation.session.id, { userId: revocation.userId })) ? 1 : 0;
    case "others":
      return manager.destroyByUser(revocation.userId, { except: revocation.session.id });
    case "all":
      return manager.destroyByUser(revocation.userId);
    case "gone":
      return 0;
  }
}

/** The page that asks whether it is meant. @throws as `manager.listByUser` */
export async function confirmationPage(
  manager: DashboardManager,
  { revocation, fields, csrf, current, now }: Question,
): Promise<Html> {
  if (revocation.kind === "everyone") return everyonePage(csrf);
  const { kind, userId } = revocation;
  const kept = kind === "others" ? revocation.session.id : undefined;
  const listed =
    kind === "one"
      ? [revocation.session]
      : await manager.listByUser(userId, { limit: MAX_COUNTED_SESSIONS + 2, current });
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
        <input type="hidden" name="_csrf" value="${csrf}" />
        ${hidden}
        <button class="danger">${button}</button>
        <a class="button" href="${link(PAGES.user, { id: userId })}">Cancel</a>
      </form>
    </section>`;
}

function everyonePage(csrf: string): Html {
  return html`<h1>End all sessions of everybody?</h1>
    <section class="card narrow">
      <p class="warning">Everybody is logged out, you included.</p>
      <form method="post" action="${PAGES.end}" class="actions">
        <input type="hidden" name="_csrf" value="${csrf}" />
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
