import { trimBlanks } from "../http/headers.ts";
import { sha256 } from "../core/token.ts";
import type { Answer, Ask } from "./exchange.ts";
import type { Html } from "./pages/html.ts";
import { STYLE } from "./style/style.ts";

/** There is no script, nothing from elsewhere, and nobody may frame it. */
const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "Cache-Control": "no-store",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  // Not no-referrer: browsers would send "Origin: null" with our own forms.
  "Referrer-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "X-Robots-Tag": "noindex, nofollow",
};

const STYLE_TAG = `"${sha256(STYLE)}"`;

/** An answer with a page. */
export function pageAnswer(status: number, { markup }: Html, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { ...HEADERS, "Content-Type": "text/html; charset=utf-8", ...headers },
    body: markup,
  };
}

/** An answer in plain words, for who may know no more. */
export function plainAnswer(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { ...HEADERS, "Content-Type": "text/plain; charset=utf-8", ...headers }, body };
}

/** Sends the browser on. */
export function redirectAnswer(status: 303 | 307, location: string): Answer {
  return { status, headers: { ...HEADERS, Location: location }, body: "" };
}

/** The style sheet, or that the browser has it. It is behind the authorization as well, so no shared cache may keep it. */
export function styleAnswer(ask: Ask): Answer {
  const headers = { ...HEADERS, "Cache-Control": "private, no-cache", ETag: STYLE_TAG };
  const known = ask.header("if-none-match")?.split(",") ?? [];
  if (known.some((tag) => trimBlanks(tag).replace(/^W\//, "") === STYLE_TAG)) return { status: 304, headers, body: "" };
  return { status: 200, headers: { ...headers, "Content-Type": "text/css; charset=utf-8" }, body: STYLE };
}
