import { shortId } from "../../core/format-number.ts";
import { fromNow } from "../../dashboard/pages/format.ts";
import { type Html, html } from "../../dashboard/pages/html.ts";
import { describeUserAgent } from "../../dashboard/user-agent.ts";
import { systemNow } from "../../core/time.ts";
import type { SessionManager } from "../../manager/session-manager.ts";
import type { UserSession } from "../../manager/user-sessions.ts";
import type { Session } from "../../session/session.ts";
import type { DemoSession } from "./actions.ts";
import { formsWith, type Form } from "./page.ts";

/** Devices that the page lists. */
const MAX_DEVICES = 20;

/** Renders the browsers in which the session's user is logged in. */
export async function devicesPart(
  manager: SessionManager<DemoSession>,
  session: Session<DemoSession>,
  csrfToken: string,
): Promise<Html> {
  const { userId } = session;
  if (userId === undefined) return html`<div id="devices"></div>`;
  const form = formsWith(csrfToken);
  const devices = await manager.listByUser(userId, { current: session, limit: MAX_DEVICES });
  const now = (await manager.store.now?.()) ?? systemNow();
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
  const mark = current ? html`<strong class="mark">this one</strong>` : undefined;
  const button = current
    ? html`<button>Log out</button>`
    : html`<input type="hidden" name="id" value="${id}" />
        <button class="danger" aria-label="Revoke ${name}, session ${shortId(id)}">Revoke</button>`;
  return html`<li>
    <div>
      <p class="device">${name} ${mark}</p>
      <p class="hint">
        Logged in ${fromNow(created, now)}${ip === undefined ? undefined : html` from <code>${ip}</code>`} · id
        <code>${shortId(id)}</code>
      </p>
    </div>
    ${form(current ? "/logout" : "/revoke", button)}
  </li>`;
}
