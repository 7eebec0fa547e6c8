import { trimBlanks } from "../http/headers.ts";
import { digest, sha256 } from "../core/token.ts";
import type { ResolvedDashboard } from "./options.ts";
import { type Html, html } from "./pages/html.ts";
import { LOCAL_TIME_SCRIPT, messagePage } from "./pages/layout.ts";
import { STYLE } from "./style/style.ts";

/** Headers of every response: no script but the page's own, nothing from other hosts, no frame around it. */
const HEADERS = {
  "Content-Security-Policy":
    `default-src 'none'; script-src 'sha256-${digest(new TextEncoder().encode(LOCAL_TIME_SCRIPT))}'; style-src 'self'; ` +
    "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "Cache-Control": "no-store",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  // Not no-referrer: browsers would send "Origin: null" with the dashboard's own forms.
  "Referrer-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "X-Robots-Tag": "noindex, nofollow",
};

const STYLE_TAG = `"${sha256(STYLE)}"`;

/** Creates a response with a page. */
export function pageResponse(status: number, { markup }: Html, headers: Record<string, string> = {}): Response {
  return textResponse(status, "text/html", markup, headers);
}

/** Creates a response with a sentence in place of a page. */
export function refusal(
  { title }: ResolvedDashboard,
  status: number,
  heading: string,
  message: string,
  headers?: Record<string, string>,
): Response {
  return pageResponse(status, messagePage(title, heading, html`<p>${message}</p>`), headers);
}

/** Creates the response to a request about a user or a session that can't exist. */
export function noSuchUser(dashboard: ResolvedDashboard): Response {
  return refusal(dashboard, 404, "There is no such user", "This is not a valid user id or session.");
}

/** Creates the response for a store that keeps no sessions by user. */
export function withoutUsers(dashboard: ResolvedDashboard): Response {
  return refusal(dashboard, 404, "Users are not known", "This store keeps no sessions by user.");
}

/** Creates a response with plain text, for clients that may see nothing else. */
export function plainResponse(status: number, body: string, headers: Record<string, string> = {}): Response {
  return textResponse(status, "text/plain", body, headers);
}

/** Creates a redirect. */
export function redirectResponse(status: 303 | 307, location: string, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers: { ...HEADERS, Location: location, ...headers } });
}

/** Creates the response with the style sheet, or a 304 if the browser has it. It is private, as `authorize` guards it too. */
export function styleResponse({ headers: asked }: Request): Response {
  const headers = { "Cache-Control": "private, no-cache", ETag: STYLE_TAG };
  const known = asked.get("if-none-match")?.split(",") ?? [];
  if (known.some((tag) => trimBlanks(tag).replace(/^W\//, "") === STYLE_TAG)) {
    return new Response(null, { status: 304, headers: { ...HEADERS, ...headers } });
  }
  return textResponse(200, "text/css", STYLE, headers);
}

/** Creates a response with a text. It sets Content-Length as well, because that to a HEAD keeps the headers and loses the body. */
export function textResponse(status: number, type: string, text: string, headers: Record<string, string>): Response {
  const body = new TextEncoder().encode(text);
  const own = { "Content-Type": `${type}; charset=utf-8`, "Content-Length": String(body.length) };
  return new Response(body, { status, headers: { ...HEADERS, ...own, ...headers } });
}
