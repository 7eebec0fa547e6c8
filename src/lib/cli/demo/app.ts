import type { IncomingMessage, ServerResponse } from "node:http";
import { csrfProtection } from "../../adapters/csrf.ts";
import { nodeHandler, type NodeListener } from "../../adapters/node.ts";
import { CsrfError, StoreUnavailableError } from "../../core/errors.ts";
import type { Html } from "../../dashboard/pages/html.ts";
import type { SessionManager } from "../../manager/session-manager.ts";
import type { Session } from "../../session/session.ts";
import { ACTIONS, type DemoSession } from "./actions.ts";
import { endedPage, homePage, messagePage } from "./page.ts";
import { STYLE } from "./style.ts";

/** Counting stops here, as it reads every row. */
const MAX_COUNTED_SESSIONS = 1000;
const MAX_FORM_BYTES = 10 * 1024;

const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  // With no-referrer browsers would send "Origin: null" with the demo's own forms.
  "Referrer-Policy": "same-origin",
};

const csrf = csrfProtection();

/**
 * Makes the demo's listener for `http.createServer`.
 *
 * @param store - the manager's store, whose location is shown
 */
export function createApp(
  manager: SessionManager<DemoSession>,
  store: { readonly location?: string | undefined },
): NodeListener {
  const withSession = nodeHandler(manager, async (request, response) => {
    const session = manager.sessionOf(request);
    const path = pathOf(request);
    const action = ACTIONS.get(path);
    if (request.method === "POST") {
      const form = await readForm(request);
      if (form === undefined) return refuse(response, 413, "The form is too large.");
      csrf.verify(session, request, form.get("_csrf"));
      if (action === undefined) await session.destroy();
      else session.set("flash", await action(session, form));
      redirect(response, action === undefined ? "/ended" : "/");
    } else if (path === "/ended") {
      // A session without values gets no row and no cookie.
      if (session.status === "new") send(response, 200, endedPage());
      else redirect(response, "/");
    } else {
      await showHome(session, response);
    }
  });

  async function showHome(session: Session<DemoSession>, response: ServerResponse): Promise<void> {
    const { status } = session;
    const flash = session.pop("flash");
    const visits = session.update("visits", (before = 0) => before + 1);
    const csrfToken = csrf.token(session);
    // nodeHandler would save at the end. Saved now, this session is among those counted.
    await session.save();
    const liveSessions = await countSessions(manager);
    send(
      response,
      200,
      homePage({ session, csrfToken, status, flash, visits, liveSessions, location: store.location }),
    );
  }

  return (request, response) => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const path = pathOf(request);
    const isPost = request.method === "POST";
    const isKnown = isPost ? ACTIONS.has(path) || path === "/destroy" : path === "/" || path === "/ended";
    // These need no session, so they cost no query.
    if (!isPost && path === "/style.css") sendStyle(response);
    else if (!isKnown) refuse(response, 404, "There is no such page.");
    else withSession(request, response);
  };
}

/** The manager's `onError`: answers requests whose session could not be loaded or stored, or whose listener threw. */
export function answerError(error: unknown, _request: IncomingMessage, response: ServerResponse): void {
  if (!(error instanceof CsrfError)) console.error("pgstore demo:", error);
  if (response.headersSent) return;
  if (error instanceof CsrfError)
    refuse(response, 403, "The form did not come from this page, or is outdated. Reload the page and try again.");
  else if (error instanceof StoreUnavailableError)
    refuse(response, 503, "The database does not answer. Try again soon.");
  else refuse(response, 500, "Something went wrong.");
}

async function countSessions(manager: SessionManager<DemoSession>): Promise<string> {
  let count = 0;
  const sessions = manager.iterate();
  while (count < MAX_COUNTED_SESSIONS && !(await sessions.next()).done) count += 1;
  await sessions.return();
  return count < MAX_COUNTED_SESSIONS ? String(count) : `${MAX_COUNTED_SESSIONS} or more`;
}

function send(response: ServerResponse, status: number, page: Html): void {
  response.writeHead(status, { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" });
  response.end(page.markup);
}

function sendStyle(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/css; charset=utf-8", "Cache-Control": "no-cache" });
  response.end(STYLE);
}

/** Answers before the request was read to its end, so the connection can't be used again. */
function refuse(response: ServerResponse, status: number, message: string): void {
  response.setHeader("Connection", "close");
  send(response, status, messagePage(message));
}

/** Redirects after a POST, so that reloading the page does not send the form again. */
function redirect(response: ServerResponse, path: string): void {
  response.writeHead(303, { Location: path }).end();
}

/** The path of a request, without the query. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] ?? "/";
}

/** Reads a posted form. Resolves to undefined when it is too large. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop must not close the connection, which still carries the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > MAX_FORM_BYTES) return undefined;
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
