import { instantOfDay } from "./format.ts";
import { type Html, html, inlineScript } from "./html.ts";

/** Relative addresses of the pages. They work under any mount, and behind a proxy that takes off a prefix. */
export const PAGES = {
  overview: "./",
  users: "users",
  user: "user",
  sessions: "sessions",
  revoke: "revoke",
  style: "style.css",
} as const;

/** Choices of the time after which a page loads itself again. */
const REFRESHES: [name: string, seconds: string | undefined][] = [
  ["off", undefined],
  ["5 s", "5"],
  ["30 s", "30"],
  ["5 min", "300"],
];

/** Contents of a page. */
export interface Page {
  /** Heading for the browser's title bar. */
  heading: string;
  /** Entry of the menu that is marked as current. */
  section?: "overview" | "users";
  /** Text in the search field. */
  search?: string;
  main: Html;
  /** Set-Cookie header that the page's form needs. */
  setCookie?: string | undefined;
}

/** Line with the database and the time of the figures. */
interface Status {
  /** Database and host, without a password. */
  place: string | undefined;
  /** Milliseconds since 1970 by the store's clock. */
  now: number;
  /** Address of the page for the choices of refresh. Undefined: the page offers none. */
  self: { page: string; query: URLSearchParams } | undefined;
}

/** Returns the address of a page with a query. Undefined fields are left out. */
export function link(page: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter((field): field is [string, string] => field[1] !== undefined);
  return given.length === 0 ? page : `${page}?${new URLSearchParams(given).toString()}`;
}

/** Returns the seconds after which a page loads itself again, if its query has one of the choices. */
export function refreshIn(query: URLSearchParams): string | undefined {
  return REFRESHES.find(([, seconds]) => seconds === query.get("refresh"))?.[1];
}

/** Returns the address of a page without the message of a form before, and with another choice of refresh. */
export function again(page: string, query: URLSearchParams, refresh: string | undefined): string {
  const kept = [...query].filter(([name]) => !["refresh", "revoked", "more"].includes(name));
  return link(page, { ...Object.fromEntries(kept), refresh });
}

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E" +
  "%3Crect width='16' height='16' rx='4' fill='%233559c7'/%3E%3Cpath d='M4 11V8M8 11V4M12 11V6' stroke='%23fff' stroke-width='2' stroke-linecap='round'/%3E%3C/svg%3E";

/** Adds the viewer's local time to the tooltip of each instant. Without it the tooltips have UTC only. */
export const LOCAL_TIME_SCRIPT = `for (const time of document.querySelectorAll("time[datetime]")) {
  const local = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "long" });
  time.title = local + " here\\n" + time.title;
}`;

/** Renders a whole page. @param status - line below the header. Undefined: the page is no view of the database */
export function pageOf(title: string, { heading, section, search = "", main }: Page, status?: Status): Html {
  const sections: MenuEntry[] = [
    ["Overview", PAGES.overview, section === "overview"],
    ["Users", PAGES.users, section === "users"],
  ];
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${heading} – ${title}</title>
        <link rel="icon" href="${ICON}" />
        <link rel="stylesheet" href="${PAGES.style}" />
      </head>
      <body>
        <a class="skip" href="#main">To the content</a>
        <header>
          <div class="bar">
            <p class="brand">${title}</p>
            <nav aria-label="Pages">${menu(sections, "page")}</nav>
            <form role="search" method="get" action="${PAGES.users}">
              <label class="unseen" for="q">Beginning of a user id, session id, or IP address</label>
              <input
                id="q"
                name="q"
                type="search"
                value="${search}"
                maxlength="256"
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                placeholder="User id, session id or address"
              />
              <button>Find</button>
            </form>
          </div>
          ${status && statusLine(status)}
        </header>
        <main id="main" tabindex="-1">${main}</main>
        <footer>
          Times are in UTC. Point at one for your local time. Tokens and the data of sessions are never shown here.
        </footer>
        ${inlineScript(LOCAL_TIME_SCRIPT)}
      </body>
    </html> `;
}

/** Renders a page with a message, in place of a page that can't be shown. */
export function messagePage(title: string, heading: string, message: Html): Html {
  const main = html`<h1>${heading}</h1>
    <section class="card narrow">
      ${message}
      <p><a href="${PAGES.overview}">To the overview</a></p>
    </section>`;
  return pageOf(title, { heading, main });
}

function statusLine({ place, now, self }: Status): Html {
  const choices =
    self &&
    REFRESHES.map(([name, seconds]): MenuEntry => {
      return [name, again(self.page, self.query, seconds), seconds === refreshIn(self.query)];
    });
  return html`<div class="bar status">
    <p>
      ${place !== undefined && html`<span class="place">${place}</span> · `}as of ${instantOfDay(new Date(now))} UTC
    </p>
    ${
      choices &&
      html`<nav class="refresh" aria-label="Refresh"><span aria-hidden="true">Refresh</span> ${menu(choices)}</nav>`
    }
  </div>`;
}

/** A link of a menu. */
export type MenuEntry = [name: string, href: string, isCurrent: boolean];

/** Renders the links of a menu. @param mark - value of aria-current for the current one */
export function menu(entries: readonly MenuEntry[], mark: "page" | "true" = "true"): Html {
  return html`${entries.map(([name, href, isCurrent]) =>
    isCurrent ? html`<a href="${href}" aria-current="${mark}">${name}</a>` : html`<a href="${href}">${name}</a>`,
  )}`;
}
