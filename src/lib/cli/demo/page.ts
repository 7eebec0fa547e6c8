import { shortId } from "../../core/format-number.ts";
import type { SessionStatus } from "../../session/state.ts";
import type { Session } from "../../session/session.ts";
import { fromNow, instant } from "../../dashboard/pages/format.ts";
import { type Content, type Html, html } from "../../dashboard/pages/html.ts";
import { describeUserAgent } from "../../dashboard/user-agent.ts";
import type { UserSession } from "../../manager/user-sessions.ts";
import { type DemoSession, LIMITS } from "./actions.ts";

/** The content of the home page. */
interface Home {
  session: Session<DemoSession>;
  /** Goes into each form. */
  csrfToken: string;
  /** As the request found it. */
  status: SessionStatus;
  flash: string | undefined;
  visits: number;
  /** The list of the user's browsers. */
  devices: Html;
  liveSessions: string;
  location: string | undefined;
  /** Address of the same server under another name, for which the browser has other cookies. */
  elsewhere: string | undefined;
}

/** The page of the session. */
export function homePage(home: Home): Html {
  const { session, flash } = home;
  const form = formsWith(home.csrfToken);
  const { userId } = session;
  const main = html`
    ${flash !== undefined && html`<p class="flash" role="status">${flash}</p>`}
    ${userId === undefined ? welcome(form) : devicesCard(userId, home)}
    <div class="columns">${raceCard(form, session)} ${notesCard(form, session.get("notes") ?? [])}</div>
    ${sessionCard(home, form)} ${endedDialog()}
  `;
  return layout("pgstore demo", main, session);
}

/** The page after a session was destroyed. */
export function endedPage(): Html {
  return layout(
    "Session ended",
    html`<section class="card">
      <h2>You have no session</h2>
      <p>A destroyed session leaves nothing: no row, no cookie. This page stores nothing, so it begins no new one.</p>
      <p><a class="button primary" href="/">Begin a new one</a></p>
    </section>`,
  );
}

/** A page with one sentence, for errors. */
export function messagePage(message: string): Html {
  return layout(
    message,
    html`<section class="card">
      <h2>${message}</h2>
      <p><a class="button" href="/">To the demo</a></p>
    </section>`,
  );
}

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='8' fill='%23f3b61f'/%3E" +
  "%3Cg fill='%23143a35'%3E%3Ccircle cx='5.5' cy='6' r='1.4'/%3E%3Ccircle cx='10.5' cy='5' r='1.1'/%3E%3Ccircle cx='9' cy='10.5' r='1.6'/%3E%3C/g%3E%3C/svg%3E";

/** @param session - of a page that hears of its end */
function layout(title: string, main: Html, session?: Session<DemoSession>): Html {
  const user = session?.userId;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="${ICON}" />
        <link rel="stylesheet" href="/style.css" />
        <script src="/demo.js" defer></script>
      </head>
      <body ${session !== undefined && html`data-session="${session.id}"`}>
        <header>
          <div class="bar">
            <p class="brand"><img src="${ICON}" alt="" width="24" height="24" />pgstore <span>demo</span></p>
            ${user !== undefined && html`<p class="pill">${user}</p>`}
            ${user !== undefined && html`<a class="button" href="/dashboard/">Open the dashboard</a>`}
          </div>
          <h1>Sessions you can see and revoke.</h1>
          <p class="lead">HTTP sessions in PostgreSQL. Restart the server: you stay logged in, and your notes stay.</p>
        </header>
        <main>${main}</main>
      </body>
    </html> `;
}

/** Renders a form with the token that shows that this page has sent it. */
type Form = (action: string, content: Content, id?: string) => Html;

/** Makes a function that renders forms with a CSRF token. */
function formsWith(csrfToken: string): Form {
  return (action, content, id) =>
    html`<form method="post" action="${action}" ${id !== undefined && html`id="${id}"`}>
      <input type="hidden" name="_csrf" value="${csrfToken}" />
      ${content}
    </form>`;
}

function welcome(form: Form): Html {
  const fields = html`<label for="name">Your name <span class="hint">(any; there is no password)</span></label>
    <div class="field">
      <input id="name" name="name" value="ada" required maxlength="${LIMITS.name}" autocomplete="username" />
      <button class="primary">Log in</button>
    </div>
    <label class="check"><input type="checkbox" name="remember" /> Remember me on this device</label>`;
  return html`<section class="card columns">
    <div>
      <h2>Log in</h2>
      ${form("/login", fields)}
    </div>
    <ol class="steps">
      <li><b class="pill">1</b> <span>Log in here, and again in a second browser.</span></li>
      <li><b class="pill">2</b> <span>Revoke one from the other. It ends at once, without a reload.</span></li>
      <li><b class="pill">3</b> <span>Let two tabs write at the same time. Nothing is lost.</span></li>
    </ol>
  </section>`;
}

function devicesCard(userId: string, { devices, elsewhere }: Home): Html {
  const second =
    elsewhere === undefined
      ? html`Open a private window and log in as ${userId} again.`
      : html`<a href="${elsewhere}" target="_blank" rel="noopener">Open a second browser</a> and log in as ${userId}
          again. It is this server under another name, for which your browser keeps other cookies.`;
  return html`<section class="card">
    <h2>Hello, ${userId}</h2>
    <p>You are logged in here. ${second} Then revoke one from the other, and watch it end.</p>
    ${devices}
  </section>`;
}

/**
 * Renders the browsers in which a user is logged in. The list is empty without a user.
 *
 * @param now - milliseconds since 1970 by the store's clock
 */
export function devicesPart(devices: readonly UserSession[], csrfToken: string, now: number): Html {
  if (devices.length === 0) return html`<div id="devices"></div>`;
  const form = formsWith(csrfToken);
  return html`<div id="devices">
    <ul class="devices">
      ${devices.map((device) => deviceRow(device, form, now))}
    </ul>
    <div class="row">
      ${form("/logout/others", html`<button>Log out other browsers</button>`)}
      ${form("/logout/everywhere", html`<button class="danger">Log out everywhere</button>`)}
    </div>
  </div>`;
}

function deviceRow({ id, userAgent, ip, created, current }: UserSession, form: Form, now: number): Html {
  const name = describeUserAgent(userAgent);
  const mark = current && html`<strong class="pill mark">this one</strong>`;
  const button = current
    ? html`<button>Log out</button>`
    : html`<input type="hidden" name="id" value="${id}" />
        <button class="danger" aria-label="Revoke ${name}, session ${shortId(id)}">Revoke</button>`;
  return html`<li>
    <div>
      <p class="device">${name} ${mark}</p>
      <p class="hint">
        Logged in ${fromNow(created, now)}${ip !== undefined && html` from <code>${ip}</code>`} · id
        <code>${shortId(id)}</code>
      </p>
    </div>
    ${form(current ? "/logout" : "/revoke", button)}
  </li>`;
}

function raceCard(form: Form, session: Session<DemoSession>): Html {
  const meter = (id: string, name: string, value: number): Html =>
    html`<div class="lane">
      <label for="${id}">${name}</label>
      <output for="${id}">${value}</output>
      <progress id="${id}" max="20" value="${value}"></progress>
    </div>`;
  return html`<section class="card">
    <h2>Two tabs, one session</h2>
    <p>
      Twenty requests add 1 to a counter in this session, two at a time. Both have read the session before either
      writes.
    </p>
    ${meter("kept", "pgstore", session.get("race") ?? 0)}
    ${meter("overwritten", "A store that overwrites the whole session", session.get("overwritten") ?? 0)}
    ${form("/race", html`<button class="primary">Start the race</button>`, "race")}
    <p id="race-said" class="hint" role="status"></p>
  </section>`;
}

function notesCard(form: Form, notes: readonly string[]): Html {
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
  return html`<section class="card">
    <h2>Notes <span class="hint">${notes.length} of ${LIMITS.notes}</span></h2>
    <p>They are in the session, and need no login.</p>
    <ul class="notes">
      ${list}
    </ul>
    ${form("/notes", fields)}
  </section>`;
}

function sessionCard(home: Home, form: Form): Html {
  const { session, visits } = home;
  const visited = visits === 1 ? "This is the first page of this session." : `Page ${visits} of this session.`;
  const renewing = html`<button>New token</button>
    <p class="hint">Same session, same values. A copy of the old cookie is worthless.</p>`;
  const destroying = html`<button class="danger">Destroy</button>
    <p class="hint">Ends the session and clears the cookie. The notes are gone.</p>`;
  const leaving = html`<button>Log out</button>
    <p class="hint">Goes on with an empty session under a new token.</p>`;
  return html`<section class="card">
    <h2>This session</h2>
    <p>${visited} Its token stays in the cookie. The page shows only what is safe to show.</p>
    ${facts(home)}
    <div class="choices">
      ${form("/token", renewing)} ${session.userId !== undefined && form("/logout", leaving)}
      ${form("/destroy", destroying)}
    </div>
  </section>`;
}

function facts({ session, status, liveSessions, location }: Home): Html {
  const remembered = session.get("remembered") === true;
  const rows: [name: string, value: string | Html | undefined, hint?: string][] = [
    ["User", session.userId ?? "nobody is logged in"],
    ["Status", status, "as this request found it"],
    ["Id", html`<code>${session.id}</code>`, "the SHA-256 of the token, and the key of the row"],
    ["Ends", html`${instant(session.deadline)} UTC`, "however active it is"],
    ["Keys", session.keys().join(", "), `${session.size} in all`],
    ["Cookie", remembered ? "persistent" : "until the browser is closed"],
    ["Live sessions", liveSessions, "in the table, this one included"],
    ["Stored in", location ?? "memory"],
  ];
  const shown = rows.map(
    ([name, value, hint]) =>
      html`<div>
        <dt>${name}</dt>
        <dd>${value} ${hint !== undefined && html`<span class="hint">${hint}</span>`}</dd>
      </div>`,
  );
  return html`<dl>${shown}</dl>`;
}

/** Shown by the script when the session has ended. */
function endedDialog(): Html {
  return html`<dialog id="ended" aria-labelledby="ended-title">
    <h2 id="ended-title">This session was revoked</h2>
    <p>Another browser has just revoked it. Nothing on this page works until you log in again.</p>
    <p><a class="button primary" href="/">Log in again</a></p>
  </dialog>`;
}
