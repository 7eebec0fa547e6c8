import { type Content, type Html, html } from "../../dashboard/pages/html.ts";

/** Renders a form with the token that shows that this page has sent it. */
export type Form = (action: string, content: Content, attributes?: { id?: string; kind?: string }) => Html;

/** Makes a function that renders forms with a CSRF token. */
export function formsWith(csrfToken: string): Form {
  return (action, content, { id, kind = "" } = {}) =>
    html`<form method="post" action="${action}" class="${kind}" ${id === undefined ? undefined : html`id="${id}"`}>
      <input type="hidden" name="_csrf" value="${csrfToken}" />
      ${content}
    </form>`;
}
