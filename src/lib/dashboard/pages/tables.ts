import { counted, shortId } from "../../core/format-number.ts";
import type { UserSession } from "../../manager/user-sessions.ts";
import type { ShownUser } from "../describe.ts";
import { describeUserAgent } from "../user-agent.ts";
import { type Content, type Html, html } from "./html.ts";
import { link, menu, type MenuEntry, PAGES } from "./layout.ts";

/**
 * Renders a table. Its roles are explicit, as the rows that a phone stacks would lose them. A phone shows the head of a column beside each cell.
 *
 * @param columns - renders a row's cell of each column, by the column's head
 * @param isCurrent - says whether a row is marked
 */
export function dataTable<Row>(
  caption: string,
  kind: string,
  rows: readonly Row[],
  columns: Readonly<Record<string, (row: Row) => Content>>,
  isCurrent: (row: Row) => boolean = () => false,
): Html {
  const cells = Object.entries(columns);
  return html`<table class="card data ${kind}" role="table">
    <caption class="unseen">
      ${caption}
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        ${cells.map(([head]) => html`<th scope="col" role="columnheader">${head}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows.map(
        (row) =>
          html`<tr role="row" class="${isCurrent(row) ? "current" : ""}">
            ${cells.map(([head, render]) => html`<td role="cell" data-head="${head}">${render(row)}</td>`)}
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** Renders a session: its device, and below it the address and the beginning of the id. */
export function sessionCell({ id, ip, userAgent }: Pick<UserSession, "id" | "ip" | "userAgent">, isOwn: boolean): Html {
  const mark = isOwn && html` <span class="mark">this one</span>`;
  const address = ip === undefined ? "No address recorded" : html`<code>${ip}</code>`;
  return html`<div>
    <span class="device" title="${userAgent}">${describeUserAgent(userAgent)}</span>${mark}
    <span class="hint"
      ><span>${address}</span> <span>id <code>${shortId(id)}</code></span></span
    >
  </div>`;
}

/** Renders a user with a link to their sessions, and the id and the link of the application. */
export function userLink(user: ShownUser): Html {
  const { userId, name } = user;
  const facts = userFacts(user);
  const own = html`<a href="${link(PAGES.user, { id: userId })}"><bdi>${name ?? userId}</bdi></a>`;
  if (facts.length === 0) return own;
  return name === undefined
    ? html`<div class="beside">${own} ${facts}</div>`
    : html`<div>${own}<span class="hint">${facts.map((fact) => html`<span>${fact}</span>`)}</span></div>`;
}

/** Returns the id of a user who is shown by a name, and the link of the application. */
export function userFacts({ userId, name, href }: ShownUser): Html[] {
  const id = name === undefined ? [] : [html`<bdi>${userId}</bdi>`];
  const profile = href === undefined ? [] : [html`<a href="${href}" rel="noreferrer">Profile</a>`];
  return [...id, ...profile];
}

/** Renders a list with dots between its entries. */
export function dotted(entries: readonly Content[]): Html {
  return html`${entries.map((entry, index) => (index === 0 ? entry : [" · ", entry]))}`;
}

/** Renders the number of sessions that the form before has revoked. */
export function revokedMessage(query: URLSearchParams): Html | undefined {
  const revoked = query.get("revoked");
  if (revoked === null || !/^\d{1,9}$/.test(revoked)) return undefined;
  const sessions = counted(Number(revoked), "session");
  const done = revoked === "0" ? "Nothing was left to revoke." : `${sessions} revoked.`;
  const message = query.has("more") ? `${sessions} revoked so far. The others are still being revoked.` : done;
  return html`<p class="flash" role="status">${message}</p>`;
}

/** Addresses of the parts of a list before and after the present one. */
export interface Neighbours {
  first?: string | undefined;
  previous?: string | undefined;
  next?: string | undefined;
  /** Name of the present part. */
  here?: string | undefined;
}

/** Renders the links to other parts of a list. */
export function pager({ first, previous, next, here }: Neighbours): Html | undefined {
  if ((first ?? previous ?? next) === undefined) return undefined;
  return html`<nav class="pager" aria-label="Parts of the list">
    ${first !== undefined && html`<a class="button" href="${first}">First page</a>`}
    ${previous !== undefined && html`<a class="button" href="${previous}" rel="prev">Previous page</a>`}
    ${next !== undefined && html`<a class="button" href="${next}" rel="next">Next page</a>`}
    ${here !== undefined && html`<span class="soft">${here}</span>`}
  </nav>`;
}

/** Renders choices of which one is current. */
export function choices(label: string, entries: readonly MenuEntry[]): Html {
  return html`<nav class="ranges" aria-label="${label}">${menu(entries)}</nav>`;
}
