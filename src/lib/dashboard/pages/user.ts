import { counted, shortId } from "../../core/format-number.ts";
import { MAX_COUNTED_SESSIONS } from "../../core/stats.ts";
import { isUserId } from "../../core/user-id.ts";
import type { UserSession } from "../../manager/user-sessions.ts";
import { describeUsers, type ShownUser } from "../describe.ts";
import type { ResolvedDashboard } from "../options.ts";
import { noSuchUser, withoutUsers } from "../responses.ts";
import { beforeAllOf, fieldsOf, findAt, placeIn } from "../session-place.ts";
import { describeUserAgent } from "../user-agent.ts";
import { currentIdOf, type PageVisit } from "../visit.ts";
import { relative } from "./format.ts";
import { type Html, html } from "./html.ts";
import { link, type Page, PAGES, refreshIn } from "./layout.ts";
import { dataTable, dotted, type Neighbours, pager, revokedMessage, sessionCell, userFacts } from "./tables.ts";
import { MAX_PAGE, PAGE_ENTRIES, pageIn } from "./users.ts";

/** Renders the page of a user's sessions. @throws PgStoreError when the store fails */
export async function userPage(visit: PageVisit): Promise<Page | Response> {
  const { dashboard, query } = visit;
  if (dashboard.manager.store.users === undefined) return withoutUsers(dashboard);
  const userId = query.get("id") ?? "";
  if (!isUserId(userId)) return noSuchUser(dashboard);
  const user = (await describeUsers(dashboard, [userId]))(userId);
  const main = await sessionsOf(user, visit);
  return { heading: `Sessions of ${user.name ?? userId}`, section: "users", main };
}

async function sessionsOf(user: ShownUser, visit: PageVisit): Promise<Html> {
  const { dashboard, query, now } = visit;
  const { userId } = user;
  const currentId = await currentIdOf(visit);
  const page = pageIn(query);
  const found = await partOf(dashboard, userId, query, page, currentId);
  const total = await dashboard.manager.store.operations?.countSessions(userId);
  const shown = found.slice(0, PAGE_ENTRIES);
  return html`<div class="heading">
      <div>
        <h1>Sessions of <bdi>${user.name ?? userId}</bdi></h1>
        <p class="soft">${dotted([...userFacts(user), ...(total === undefined ? [] : [totalText(total)])])}</p>
      </div>
      ${shown.length > 0 && revokeAll(userId, shown)}
    </div>
    ${revokedMessage(query)}
    ${
      shown.length === 0
        ? html`<p class="card">${page === 1 ? "This user has no live session." : "There are no more."}</p>`
        : dataTable(
            "Live sessions",
            "sessions",
            shown,
            {
              Session: (session) => sessionCell(session, session.current),
              "Logged in": ({ created }) => relative(created, now),
              "Last seen": ({ lastSeen }) => relative(lastSeen, now),
              Expires: ({ expiry }) => relative(expiry, now),
              Revoke: (session) => actions(userId, session),
            },
            ({ current }) => current,
          )
    }
    ${pager(neighboursOf(userId, query, page, found))}`;
}

/** Reads a page and one more session, from the place of the session before it, otherwise by the page's number. */
async function partOf(
  dashboard: ResolvedDashboard,
  userId: string,
  query: URLSearchParams,
  page: number,
  current: string | undefined,
): Promise<UserSession[]> {
  const place = placeIn(query);
  if (place === undefined) {
    const found = await dashboard.users.listByUser(userId, { limit: page * PAGE_ENTRIES + 1, current });
    return found.slice((page - 1) * PAGE_ENTRIES);
  }
  // If the last session of the previous page has ended, the page begins with all sessions of that instant.
  const after = (await findAt(dashboard, userId, place)) ?? beforeAllOf(place);
  return dashboard.users.listByUser(userId, { limit: PAGE_ENTRIES + 1, after, current });
}

function neighboursOf(userId: string, query: URLSearchParams, page: number, found: readonly UserSession[]): Neighbours {
  const to = (place: Record<string, string | undefined>): string =>
    link(PAGES.user, { id: userId, ...place, refresh: refreshIn(query) });
  const last = found.length > PAGE_ENTRIES ? found[PAGE_ENTRIES - 1] : undefined;
  const isFirst = page === 1 && placeIn(query) === undefined;
  return {
    first: isFirst ? undefined : to({}),
    previous: page < 3 ? undefined : to({ page: String(page - 1) }),
    // After the last number, pages continue by their place.
    next: last && to({ page: String(Math.min(page + 1, MAX_PAGE)), ...fieldsOf(last) }),
    here: isFirst && last === undefined ? undefined : `Page ${page}`,
  };
}

function actions(userId: string, session: UserSession): Html {
  const { id, ip, userAgent } = session;
  const place = { user: userId, ...fieldsOf(session) };
  const what = `the session on ${describeUserAgent(userAgent)}, ${ip ?? "no address"}, ${shortId(id)}`;
  return html`<span class="actions">
    <a class="button" href="${link(PAGES.revoke, place)}" aria-label="Revoke ${what}">Revoke</a>
    <a class="button" href="${link(PAGES.revoke, { ...place, others: "1" })}" aria-label="Revoke others than ${what}"
      >Revoke others</a
    >
  </span>`;
}

function revokeAll(userId: string, shown: readonly UserSession[]): Html {
  const own = shown.find(({ current }) => current);
  const others = own && { ...fieldsOf(own), others: "1" };
  const text = own === undefined ? "Revoke all sessions" : "Revoke all but this one";
  return html`<a class="button" href="${link(PAGES.revoke, { user: userId, ...others })}">${text}</a>`;
}

function totalText(total: number): string {
  const text = counted(total, "live session");
  return total >= MAX_COUNTED_SESSIONS ? `${text} or more` : text;
}
