import { counted, shortId } from "../../core/format-number.ts";
import { assertUserId } from "../../core/user-id.ts";
import type { UserSession } from "../../manager/user-sessions.ts";
import type { StoreExtras } from "../../core/store.ts";
import { describeUserAgent } from "../user-agent.ts";
import { instant, relative } from "./format.ts";
import { type Content, type Html, html } from "./html.ts";
import { link, PAGES } from "./layout.ts";
import type { DashboardManager } from "../options.ts";
import { beforeAllOf, fieldsOf, findAt, hashOf, placeIn } from "../session-place.ts";

/** Rows of a page. */
const PAGE_ENTRIES = 50;

/** Renders the page of users whose ids begin with the query's text. @throws PgStoreError when the store fails */
export async function usersPage(
  { operations, users }: Pick<StoreExtras, "operations" | "users">,
  query: URLSearchParams,
  now: number,
): Promise<Html> {
  const prefix = query.get("q") ?? "";
  const heading = html`<h1>${prefix === "" ? "Users" : html`Users that begin with <bdi>${prefix}</bdi>`}</h1>`;
  if (operations === undefined || users === undefined) {
    const exact =
      users !== undefined && isUserId(prefix)
        ? html`<p>
            It still knows the sessions of a user by the whole id:
            <a href="${link(PAGES.user, { id: prefix })}"><bdi>${prefix}</bdi></a>
          </p>`
        : undefined;
    return html`${heading}
      <section class="card">
        <p>This store can't look for users.</p>
        ${exact}
      </section>`;
  }
  const after = query.get("after") ?? undefined;
  const isPossible = (prefix === "" || isUserId(prefix)) && (after === undefined || isUserId(after));
  const found = isPossible ? await operations.searchUsers(prefix, PAGE_ENTRIES + 1, after) : [];
  const shown = found.slice(0, PAGE_ENTRIES);
  const rows = shown.map(
    ({ userId, sessions, lastLogin }) =>
      html`<tr role="row">
        ${cell("User", html`<a href="${link(PAGES.user, { id: userId })}"><bdi>${userId}</bdi></a>`)}
        ${cell("Live sessions", sessions >= 1000 ? "1,000 or more" : sessions)}
        ${cell("Last login", relative(lastLogin, now))}
      </tr>`,
  );
  const q = prefix === "" ? undefined : prefix;
  const next = found.length > PAGE_ENTRIES ? link(PAGES.users, { q, after: shown.at(-1)?.userId }) : undefined;
  return html`${heading}
  ${
    shown.length === 0
      ? html`<p class="card">No ${prefix === "" ? "" : "such "}user has logged in lately.</p>`
      : dataTable("Users who have logged in", ["User", "Live sessions", "Last login"], rows)
  }
  ${pager(after === undefined ? undefined : link(PAGES.users, { q }), next)}`;
}

/** Renders the page of a user's sessions. Undefined: the query has no valid user id. @throws PgStoreError when the store fails */
export async function userPage(
  manager: DashboardManager,
  query: URLSearchParams,
  currentId: string | undefined,
  now: number,
): Promise<Html | undefined> {
  const userId = query.get("id") ?? "";
  if (!isUserId(userId)) return undefined;
  const place = placeIn(query);
  // Where the last session of the page before has ended meanwhile, the page begins with all sessions of its instant.
  const after = place && ((await findAt(manager, userId, place)) ?? beforeAllOf(place));
  const found = await manager.listByUser(userId, { limit: PAGE_ENTRIES + 1, after, current: currentId });
  const shown = found.slice(0, PAGE_ENTRIES);
  const last = found.length > PAGE_ENTRIES ? shown.at(-1) : undefined;
  const first = link(PAGES.user, { id: userId });
  return html`<div class="heading">
      <h1>Sessions of <bdi>${userId}</bdi></h1>
      ${shown.length === 0 ? undefined : endAll(userId, currentId, shown)}
    </div>
    ${endedMessage(query)}
    ${
      shown.length === 0
        ? html`<p class="card">${after === undefined ? "This user has no live session." : "There are no more."}</p>`
        : dataTable(
            "Live sessions",
            ["Device", "IP address", "Logged in", "Last seen", "Expires", "Id", "End"],
            shown.map((session) => sessionRow(userId, session, now)),
          )
    }
    ${pager(after === undefined ? undefined : first, last && link(PAGES.user, { id: userId, ...fieldsOf(last) }))}`;
}

/** Says whether a text is a valid user id. */
export function isUserId(text: string): boolean {
  try {
    assertUserId("id", text);
    return true;
  } catch {
    return false;
  }
}

function sessionRow(userId: string, session: UserSession, now: number): Html {
  const { ip, userAgent, created, lastSeen, expiry, current } = session;
  const id = hashOf(session);
  const device = describeUserAgent(userAgent);
  const place = { user: userId, ...fieldsOf(session) };
  const what = `the session on ${device}, ${ip ?? "no address"}, ${shortId(id)}`;
  const mark = current ? html` <span class="mark">this one</span>` : undefined;
  const actions = html`<span class="actions">
    <a class="button" href="${link(PAGES.end, place)}" aria-label="End ${what}">End</a>
    <a class="button" href="${link(PAGES.end, { ...place, others: "1" })}" aria-label="End others than ${what}"
      >End others</a
    >
  </span>`;
  return html`<tr role="row" class="${current ? "current" : ""}">
    ${cell("Device", html`<span><span title="${userAgent}">${device}</span>${mark}</span>`)}
    ${cell("IP address", ip === undefined ? html`<span class="soft">Not recorded</span>` : html`<code>${ip}</code>`)}
    ${cell("Logged in", instant(created))} ${cell("Last seen", relative(lastSeen, now))}
    ${cell("Expires", relative(expiry, now))} ${cell("Id", html`<code title="${id}">${shortId(id)}</code>`)}
    ${cell("End", actions)}
  </tr>`;
}

function endAll(userId: string, currentId: string | undefined, shown: readonly UserSession[]): Html {
  const own = shown.find(({ id }) => id === currentId);
  return own === undefined
    ? html`<a class="button danger" href="${link(PAGES.end, { user: userId })}">End all sessions</a>`
    : html`<a class="button danger" href="${link(PAGES.end, { user: userId, ...fieldsOf(own), others: "1" })}"
        >End all but this one</a
      >`;
}

/** Renders the number of sessions that the form before has revoked. */
export function endedMessage(query: URLSearchParams): Html | undefined {
  const ended = query.get("ended");
  if (ended === null || !/^\d{1,9}$/.test(ended)) return undefined;
  const sessions = counted(Number(ended), "session");
  const done = ended === "0" ? "Nothing was left to end." : `${sessions} ended.`;
  const message = query.has("more") ? `${sessions} ended so far. The others are still being ended.` : done;
  return html`<p class="flash" role="status">${message}</p>`;
}

/** Renders a table. Its roles are explicit, as the rows that a phone stacks would lose them. */
function dataTable(caption: string, heads: readonly string[], rows: readonly Html[]): Html {
  return html`<table class="card data" role="table">
    <caption class="unseen">
      ${caption}
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        ${heads.map((head) => html`<th scope="col" role="columnheader">${head}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows}
    </tbody>
  </table>`;
}

function cell(head: string, content: Content): Html {
  return html`<td role="cell" data-head="${head}">${content}</td>`;
}

function pager(first: string | undefined, next: string | undefined): Html | undefined {
  if (first === undefined && next === undefined) return undefined;
  return html`<nav class="pager" aria-label="Parts of the list">
    ${first === undefined ? undefined : html`<a class="button" href="${first}">First page</a>`}
    ${next === undefined ? undefined : html`<a class="button" href="${next}" rel="next">Next page</a>`}
  </nav>`;
}
