import { isIP } from "node:net";
import { count, counted, shortId } from "../../core/format-number.ts";
import type { FoundSession } from "../../core/stats.ts";
import { isUserId } from "../../core/user-id.ts";
import { lowerAscii } from "../../http/headers.ts";
import { describeUsers } from "../describe.ts";
import { fieldsOf, findById, isAboutSessions, isBeginningOfId } from "../session-place.ts";
import { currentIdOf, type PageVisit } from "../visit.ts";
import { about, relative } from "./format.ts";
import { type Html, html } from "./html.ts";
import { link, type Page, PAGES } from "./layout.ts";
import { dataTable, sessionCell, userLink } from "./tables.ts";

/** Sessions of an address that a page shows. */
const MAX_SESSIONS = 100;

/** Renders the sessions with an id or an address. @throws PgStoreError when the store fails */
export async function sessionsPage(visit: PageVisit): Promise<Page> {
  const search = visit.query.get("q") ?? "";
  return { heading: "Sessions", section: "users", search, main: await found(visit, search) };
}

async function found(visit: PageVisit, text: string): Promise<Html> {
  const { operations, users } = visit.dashboard.manager.store;
  const isKnown = isAboutSessions(text) || isBeginningOfId(text);
  if (operations === undefined || users === undefined || !isKnown) {
    const reason = isKnown ? "This store finds no sessions by id or address." : "This is no session id or address.";
    return html`<h1>Sessions</h1>
      <section class="card"><p>${reason}</p></section>`;
  }
  return isIP(text) > 0 ? addressPage(visit, text) : idPage(visit, text);
}

async function idPage(visit: PageVisit, id: string): Promise<Html> {
  const session = await findById(visit.dashboard.manager, id);
  return html`${heading(html`Session <code>${shortId(id)}…</code>`, id)}
  ${
    session === undefined
      ? html`<p class="card">
          No live session has this id. It has expired, was revoked or destroyed, or never existed.
        </p>`
      : await table([session], visit, { q: id })
  }`;
}

async function addressPage(visit: PageVisit, address: string): Promise<Html> {
  const asked = visit.query.get("after") ?? "";
  const after = isUserId(asked) ? asked : undefined;
  const page = await visit.dashboard.manager.store.operations?.findByAddress(spellingsOf(address), MAX_SESSIONS, after);
  const { sessions = [], next, read = 0, rows = 0 } = page ?? {};
  const part = after === undefined ? "" : " in this part of the table";
  const isCut = sessions.length === MAX_SESSIONS;
  return html`${heading(html`Sessions from <bdi>${address}</bdi>`, address)}
    <p class="soft">
      ${isCut ? `The first ${counted(MAX_SESSIONS, "session")}` : counted(sessions.length, "live session")}${part}.
      ${next !== undefined && `${count(read)} rows of ${about(Math.max(rows, read))} were read.`}
    </p>
    ${
      sessions.length === 0
        ? html`<p class="card">
            ${next === undefined ? "No live session" : "So far no live session"} began at this address. Addresses are
            recorded at the login, with the option <code>recordIp</code>.
          </p>`
        : await table(sessions, visit)
    }
    ${
      next !== undefined &&
      html`<nav class="pager" aria-label="Parts of the table">
        <a class="button" href="${link(PAGES.sessions, { q: address, after: next })}" rel="next">Continue the search</a>
      </nav>`
    }`;
}

/** Renders the heading, with a way to users whose ids look like an address or a session's id. */
function heading(title: Html, text: string): Html {
  return html`<div class="heading">
    <h1>${title}</h1>
    <a href="${link(PAGES.users, { q: text, as: "user" })}">Search the user ids instead</a>
  </div>`;
}

/** Renders sessions. @param anonymous - fields by which `revoke` finds a session without a user */
async function table(
  sessions: readonly FoundSession[],
  visit: PageVisit,
  anonymous: Record<string, string> = {},
): Promise<Html> {
  const { dashboard, now } = visit;
  const currentId = await currentIdOf(visit);
  const userIds = sessions.flatMap(({ userId }) => userId ?? []);
  const show = await describeUsers(dashboard, userIds);
  const isOwn = ({ id }: FoundSession): boolean => id === currentId;
  const at = (date: Date | undefined): Html =>
    date === undefined ? html`<span class="soft">–</span>` : relative(date, now);
  return dataTable(
    "Live sessions",
    "sessions found",
    sessions,
    {
      Session: (session) => sessionCell(session, isOwn(session)),
      User: ({ userId }) =>
        userId === undefined ? html`<span class="soft">Nobody is logged in</span>` : userLink(show(userId)),
      "Logged in": ({ created }) => at(created),
      "Last seen": ({ lastSeen }) => at(lastSeen),
      Expires: ({ expiry }) => relative(expiry, now),
      Revoke: ({ id, userId, created }) => {
        const isOwned = userId !== undefined && created !== undefined;
        const place = isOwned ? { user: userId, ...fieldsOf({ id, created }) } : anonymous;
        return html`<a class="button" href="${link(PAGES.revoke, place)}" aria-label="Revoke the session ${shortId(id)}"
          >Revoke</a
        >`;
      },
    },
    isOwn,
  );
}

/** Returns the texts under which an address may be recorded. */
function spellingsOf(address: string): string[] {
  const texts = [address, lowerAscii(address)];
  const url = `http://[${address}]/`;
  // The URL parser shortens an IPv6 address as Node does.
  if (isIP(address) === 6 && URL.canParse(url)) texts.push(new URL(url).hostname.slice(1, -1));
  if (isIP(address) === 4) texts.push(`::ffff:${address}`);
  return [...new Set(texts)];
}
