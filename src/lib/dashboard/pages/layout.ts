import { type Html, html } from "./html.ts";

/** Relative addresses of the pages. They work under any mount, and behind a proxy that takes off a prefix. */
export const PAGES = { overview: "./", users: "users", user: "user", end: "end", style: "style.css" } as const;

/** Contents of a page. */
export interface Frame {
  /** Title of the dashboard. */
  title: string;
  /** Heading of this page, for the browser's title bar. */
  heading: string;
  /** Entry of the menu that is marked as current. */
  section?: "overview" | "users";
  /** Text in the search field. */
  search?: string;
  main: Html;
}

/** Returns the address of a page with a query. Undefined fields are left out. */
export function link(page: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter((field): field is [string, string] => field[1] !== undefined);
  return given.length === 0 ? page : `${page}?${new URLSearchParams(given).toString()}`;
}

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E" +
  "%3Crect width='16' height='16' rx='4' fill='%233559c7'/%3E%3Cpath d='M4 11V8M8 11V4M12 11V6' stroke='%23fff' stroke-width='2' stroke-linecap='round'/%3E%3C/svg%3E";

/** Renders a whole page. */
export function pageOf({ title, heading, section, search = "", main }: Frame): Html {
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
            <nav aria-label="Pages">
              ${entry("Overview", PAGES.overview, section === "overview")}
              ${entry("Users", PAGES.users, section === "users")}
            </nav>
            <form role="search" method="get" action="${PAGES.users}">
              <label class="unseen" for="q">User, by how their id begins</label>
              <input
                id="q"
                name="q"
                type="search"
                value="${search}"
                maxlength="256"
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                placeholder="User id begins with"
              />
              <button>Find</button>
            </form>
          </div>
        </header>
        <main id="main" tabindex="-1">${main}</main>
        <footer>Times are in UTC. Neither tokens nor what sessions hold is ever shown here.</footer>
      </body>
    </html> `;
}

/** Renders a page with one sentence, in place of a page that can't be shown. */
export function messagePage(title: string, heading: string, message: Html): Html {
  const main = html`<h1>${heading}</h1>
    <section class="card">
      <p>${message}</p>
      <p><a href="${PAGES.overview}">To the overview</a></p>
    </section>`;
  return pageOf({ title, heading, main });
}

function entry(name: string, href: string, isCurrent: boolean): Html {
  return isCurrent ? html`<a href="${href}" aria-current="page">${name}</a>` : html`<a href="${href}">${name}</a>`;
}
