import type { SessionStatus } from "../../session/state.ts";
import type { Session } from "../../session/session.ts";
import { type DemoSession, LIMITS } from "./actions.ts";
import { type Html, html } from "../../dashboard/pages/html.ts";

/** The content of the home page. */
export interface Home {
  session: Session<DemoSession>;
  /** Goes into each form. */
  csrfToken: string;
  /** As the request found it. */
  status: SessionStatus;
  flash: string | undefined;
  visits: number;
  liveSessions: string;
  location: string | undefined;
}

/** The page of the session. */
export function homePage(home: Home): Html {
  const { session, flash, visits } = home;
  const form = formsWith(home.csrfToken);
  const visited = visits === 1 ? "This is the first page of this session." : `Page ${visits} of this session.`;
  return layout(
    "pgstore demo",
    html`
      ${flash === undefined ? undefined : html`<p class="flash" role="status">${flash}</p>`}
      <div class="columns">
        <div>
          <section>
            <h2>${session.userId === undefined ? "Log in" : html`Hello, ${session.userId}`}</h2>
            ${session.userId === undefined ? loginForm(form) : logoutForm(form)}
          </section>
          <section>${notesPart(form, session.get("notes") ?? [])}</section>
        </div>
        <section>
          <h2>This session</h2>
          <p class="hint">${visited} Its token stays in the cookie; the page shows only what is safe to show.</p>
          ${facts(home)} ${endings(form)}
        </section>
      </div>
    `,
  );
}

/** The page after a session was destroyed. */
export function endedPage(): Html {
  return layout(
    "Session ended",
    html`<section>
      <h2>You have no session</h2>
      <p>A destroyed session leaves nothing: no row, no cookie. This page stores nothing, so it begins no new one.</p>
      <p><a class="button" href="/">Begin a new one</a></p>
    </section>`,
  );
}

/** A page with one sentence, for errors. */
export function messagePage(message: string): Html {
  return layout(
    message,
    html`<section>
      <h2>${message}</h2>
      <p><a class="button" href="/">To the demo</a></p>
    </section>`,
  );
}

function layout(title: string, main: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body>
        <header>
          <h1>pgstore demo</h1>
          <p>HTTP sessions in PostgreSQL. Restart the server: you stay logged in, and your notes stay.</p>
        </header>
        <main>${main}</main>
      </body>
    </html> `;
}

/** A form with what shows that this page has sent it. */
type Form = (action: string, content: Html, kind?: string) => Html;

function formsWith(csrfToken: string): Form {
  return (action, content, kind = "") =>
    html`<form method="post" action="${action}" class="${kind}">
      <input type="hidden" name="_csrf" value="${csrfToken}" />
      ${content}
    </form>`;
}

function loginForm(form: Form): Html {
  return form(
    "/login",
    html`<label for="name">Your name <span class="hint">(any; there is no password)</span></label>
      <div class="field">
        <input id="name" name="name" required maxlength="${LIMITS.name}" autocomplete="username" />
        <button class="primary">Log in</button>
      </div>
      <label class="check"><input type="checkbox" name="remember" /> Remember me on this device</label>`,
  );
}

function logoutForm(form: Form): Html {
  return form(
    "/logout",
    html`<button>Log out</button>
      <p class="hint">Goes on with an empty session under a new token.</p>`,
    "choice",
  );
}

function notesPart(form: Form, notes: readonly string[]): Html {
  const list = notes.map((note) => {
    const button = html`<button name="note" value="${note}" aria-label="Remove the note ${note}">Remove</button>`;
    return html`<li>
      <span>${note}</span>
      ${form("/notes/remove", button)}
    </li>`;
  });
  const fields = html`<label for="note">New note</label>
    <div class="field">
      <input id="note" name="note" required maxlength="${LIMITS.note}" autocomplete="off" />
      <button class="primary">Add</button>
    </div>`;
  return html`<h2>Notes <span class="hint">${notes.length} of ${LIMITS.notes}</span></h2>
    ${notes.length === 0 ? html`<p class="hint">None yet. Notes need no login.</p>` : undefined}
    <ul class="notes">
      ${list}
    </ul>
    ${form("/notes", fields)}`;
}

function facts({ session, status, liveSessions, location }: Home): Html {
  const remembered = session.get("remembered") === true;
  const rows: [name: string, value: string | Html | undefined, hint?: string][] = [
    ["User", session.userId ?? "nobody is logged in"],
    ["Status", status, "as this request found it"],
    ["Id", html`<code>${session.id}</code>`, "the SHA-256 of the token, and the key of the row"],
    ["Ends", dateOf(session.deadline), "however active it is; a new token begins the time anew"],
    ["Keys", session.keys().join(", "), `${session.size} in all`],
    ["Cookie", remembered ? "persistent" : "until the browser is closed"],
    ["Live sessions", liveSessions, "in the table, this one included"],
    ["Stored in", location ?? "memory"],
  ];
  const shown = rows.map(
    ([name, value, hint]) =>
      html`<div>
        <dt>${name}</dt>
        <dd>${value} ${hint === undefined ? undefined : html`<span class="hint">${hint}</span>`}</dd>
      </div>`,
  );
  return html`<dl>${shown}</dl>`;
}

function endings(form: Form): Html {
  const renewing = html`<button>New token</button>
    <p class="hint">Same session, same values; a copy of the old cookie is worth nothing any more.</p>`;
  const destroying = html`<button class="danger">Destroy</button>
    <p class="hint">Ends the session and clears the cookie. The notes are gone.</p>`;
  return html`${form("/token", renewing, "choice")} ${form("/destroy", destroying, "choice")}`;
}

function dateOf(date: Date): Html {
  const text = date.toISOString();
  return html`<time datetime="${text}">${text.slice(0, 16).replace("T", " ")} UTC</time>`;
}
