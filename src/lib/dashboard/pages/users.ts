import { count, counted } from "../../core/format-number.ts";
import {
  MAX_COUNTED_SESSIONS,
  MAX_SORTED_ROWS,
  type UserEntry,
  type UserOrder,
  type UserPage,
} from "../../core/stats.ts";
import { isUserId } from "../../core/user-id.ts";
import { describeUsers } from "../describe.ts";
import { redirectResponse } from "../responses.ts";
import { isAboutSessions, isBeginningOfId } from "../session-place.ts";
import type { PageVisit } from "../visit.ts";
import { relative } from "./format.ts";
import { type Html, html } from "./html.ts";
import { link, type MenuEntry, type Page, PAGES, refreshIn } from "./layout.ts";
import { choices, dataTable, type Neighbours, pager, userLink } from "./tables.ts";

/** Rows of a page. */
export const PAGE_ENTRIES = 50;
/** The number of a list's last page. */
export const MAX_PAGE = 200;
/** Users that are counted. */
const MAX_COUNTED_USERS = 100_000;

const ORDERS: [name: string, order: UserOrder][] = [
  ["User id", "name"],
  ["Last login", "lastLogin"],
  ["Sessions", "sessions"],
];

/**
 * Renders the page of users whose ids begin with the query's text. A text that is about sessions leads to their page.
 *
 * @throws PgStoreError when the store fails
 */
export async function usersPage(visit: PageVisit): Promise<Page | Response> {
  const search = visit.query.get("q") ?? "";
  if (isAboutSessions(search) && !visit.query.has("as")) {
    return redirectResponse(303, link(PAGES.sessions, { q: search }));
  }
  return { heading: "Users", section: "users", search, main: await usersList(visit) };
}

async function usersList({ dashboard, query, now }: PageVisit): Promise<Html> {
  const { operations, users } = dashboard.manager.store;
  const asked = askedFor(query);
  const { prefix, order, after, before, page } = asked;
  const title = html`<h1>${prefix === "" ? "Users" : html`Users that begin with <bdi>${prefix}</bdi>`}</h1>`;
  if (operations === undefined || users === undefined) return withoutSearch(title, users !== undefined, prefix);
  const isPossible = [prefix, after ?? "", before ?? ""].every((text) => text === "" || isUserId(text));
  const none: UserPage = { users: [], sorted: "all" };
  // One more than a page shows, to know whether there are more.
  const part = { limit: PAGE_ENTRIES + 1, offset: (page - 1) * PAGE_ENTRIES };
  const found = isPossible ? await operations.listUsers({ prefix, order, after, before, ...part }) : none;
  const total = isPossible ? await operations.countUsers(prefix, MAX_COUNTED_USERS + 1) : 0;
  const { shown, neighbours } = cut(found.users, asked);
  const show = await describeUsers(
    dashboard,
    shown.map(({ userId }) => userId),
  );
  const sorts = ORDERS.map(([name, key]): MenuEntry => [name, addressOf({ ...asked, order: key }, {}), key === order]);
  return html`<div class="heading">
      <div>
        ${title}
        <p class="soft">${totalText(total)}</p>
      </div>
      <div class="sort"><span aria-hidden="true">Sort by</span> ${choices("Sort by", sorts)}</div>
    </div>
    ${sortNote(found.sorted, order)}
    ${
      isBeginningOfId(prefix) &&
      html`<p><a href="${link(PAGES.sessions, { q: prefix })}">Find the session whose id begins so instead</a></p>`
    }
    ${
      shown.length === 0
        ? html`<p class="card">No ${prefix === "" ? "" : "such "}user has logged in lately.</p>`
        : dataTable("Users who have logged in", "users", shown, {
            User: ({ userId }) => userLink(show(userId)),
            "Live sessions": ({ sessions }) => count(sessions) + (sessions < MAX_COUNTED_SESSIONS ? "" : " or more"),
            "Last login": ({ lastLogin }) => relative(lastLogin, now),
          })
    }
    ${pager(neighbours)}`;
}

/** Reads the number of a page, 1 to 200. */
export function pageIn(query: URLSearchParams): number {
  const page = Number(query.get("page") ?? 1);
  return Number.isInteger(page) && page >= 1 ? Math.min(page, MAX_PAGE) : 1;
}

/** A part of the list of users, read from a query. */
interface Asked {
  /** The beginning of the ids. */
  prefix: string;
  order: UserOrder;
  after: string | undefined;
  before: string | undefined;
  page: number;
  refresh: string | undefined;
}

function askedFor(query: URLSearchParams): Asked {
  const order = ORDERS.find(([, key]) => key === query.get("sort"))?.[1] ?? "name";
  const isByName = order === "name";
  return {
    prefix: query.get("q") ?? "",
    order,
    after: (isByName && query.get("after")) || undefined,
    before: (isByName && query.get("before")) || undefined,
    page: isByName ? 1 : pageIn(query),
    refresh: refreshIn(query),
  };
}

/** Separates the users of a page from the one that shows that there are more. */
function cut(found: readonly UserEntry[], asked: Asked): { shown: readonly UserEntry[]; neighbours: Neighbours } {
  const { order, after, before, page } = asked;
  const isFull = found.length > PAGE_ENTRIES;
  const to = (place: Record<string, string | undefined>): string => addressOf(asked, place);
  if (order !== "name") {
    const shown = found.slice(0, PAGE_ENTRIES);
    const previous = page === 1 ? undefined : to({ page: page === 2 ? undefined : String(page - 1) });
    const next = isFull && page < MAX_PAGE ? to({ page: String(page + 1) }) : undefined;
    return { shown, neighbours: { previous, next, here: `Page ${page}` } };
  }
  const isBackwards = before !== undefined && after === undefined;
  const shown = isBackwards && isFull ? found.slice(1) : found.slice(0, PAGE_ENTRIES);
  const hasPrevious = isBackwards ? isFull : after !== undefined;
  const hasNext = isBackwards || isFull;
  const [top, last] = [shown[0]?.userId, shown.at(-1)?.userId];
  return {
    shown,
    neighbours: {
      first: hasPrevious ? to({}) : undefined,
      previous: hasPrevious && top !== undefined ? to({ before: top }) : undefined,
      next: hasNext && last !== undefined ? to({ after: last }) : undefined,
    },
  };
}

function addressOf({ prefix, order, refresh }: Asked, place: Record<string, string | undefined>): string {
  const sort = order === "name" ? undefined : order;
  return link(PAGES.users, { q: prefix === "" ? undefined : prefix, sort, ...place, refresh });
}

function totalText(total: number): string {
  return total > MAX_COUNTED_USERS ? `More than ${count(MAX_COUNTED_USERS)} users` : counted(total, "user");
}

function sortNote(sorted: UserPage["sorted"], order: UserOrder): Html | undefined {
  if (sorted === "all") return undefined;
  const what = order === "sessions" ? "sessions" : "users";
  const most = count(MAX_SORTED_ROWS);
  return sorted === "sample"
    ? html`<p class="soft">
        The table is large: these users have the most sessions in a sample. Users with few sessions may be missing.
      </p>`
    : html`<p class="soft">
        More than ${most} ${what} match, and the first ${most} are sorted. Search for more of the id.
      </p>`;
}

function withoutSearch(title: Html, hasUsers: boolean, prefix: string): Html {
  const exact =
    hasUsers &&
    isUserId(prefix) &&
    html`<p>
      It still knows the sessions of a user by the whole id:
      <a href="${link(PAGES.user, { id: prefix })}"><bdi>${prefix}</bdi></a>
    </p>`;
  return html`${title}
    <section class="card">
      <p>This store can't look for users.</p>
      ${exact}
    </section>`;
}
