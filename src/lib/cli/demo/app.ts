import type { IncomingMessage, ServerResponse } from "node:http";
import { csrfProtection } from "../../adapters/csrf.ts";
import { nodeHandler, type NodeListener } from "../../adapters/node.ts";
import { CsrfError, StoreUnavailableError } from "../../core/errors.ts";
import type { Store, StoreExtras } from "../../core/store.ts";
import { dashboard } from "../../dashboard/dashboard.ts";
import { toRequest } from "../../dashboard/node.ts";
import type { Html } from "../../dashboard/pages/html.ts";
import { readFields } from "../../http/form.ts";
import { SessionManager } from "../../manager/session-manager.ts";
import type { Session } from "../../session/session.ts";
import { ACTIONS, type DemoSession } from "./actions.ts";
import { devicesPart } from "./devices.ts";
import { LiveStreams } from "./live.ts";
import { endedPage, type Home, homePage, messagePage } from "./page.ts";
import { addInPairs } from "./race.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

/** Counting stops here, as it reads every row. */
const MAX_COUNTED_SESSIONS = 1000;
const MAX_FORM_BYTES = 10 * 1024;
const DASHBOARD = "/dashboard";

const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; " +
    "base-uri 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  // With no-referrer browsers would send "Origin: null" with the demo's own forms.
  "Referrer-Policy": "same-origin",
};

const FILES = new Map([
  ["/style.css", { type: "text/css", text: STYLE }],
  ["/demo.js", { type: "text/javascript", text: SCRIPT }],
]);

/** Paths that a browser gets with a session, and those that it posts besides the forms of ACTIONS. */
const SHOWN = new Set(["/", "/ended", "/devices", "/events"]);
const POSTED = new Set(["/destroy", "/race", "/race/reset"]);

const csrf = csrfProtection();

/** The demo as a listener for `http.createServer`. */
interface Demo {
  listener: NodeListener;
  manager: SessionManager<DemoSession>;
  /** Closes the pages' streams, so that the server can stop. */
  close(): void;
}

/** Makes the demo on a store. @param store - `location` is shown */
export function createDemo(store: Store & StoreExtras & { readonly location?: string | undefined }): Demo {
  const streams = new LiveStreams();
  const manager = new SessionManager<DemoSession>(store, {
    lifetime: "7d",
    recordIp: true,
    recordUserAgent: true,
    onError: answerError,
    onLogin: ({ userId }) => streams.devicesChanged(userId),
    onEnd: ({ userId }) => streams.devicesChanged(userId),
  });
  const operators = dashboard<IncomingMessage>(manager, {
    prefix: DASHBOARD,
    title: "pgstore demo",
    // In an application only operators may see it.
    authorize: (request) =>
      manager.sessionOf(request).userId !== undefined ||
      new Response(null, { status: 303, headers: { Location: "/" } }),
  });

  const withSession = nodeHandler(manager, async (request, response) => {
    const session = manager.sessionOf(request);
    const path = pathOf(request);
    if (isBelow(path)) operators(request, response);
    else if (request.method === "POST") await act(session, request, response);
    else if (path === "/devices") await showDevices(session, response);
    else if (path === "/") await showHome(session, request, response);
    // A session without values gets no row and no cookie.
    else if (session.status === "new") send(response, 200, endedPage());
    else redirect(response, "/");
  });

  async function act(session: Session<DemoSession>, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request);
    const asked = toRequest(request);
    const form = asked && (await readFields(asked, MAX_FORM_BYTES));
    if (form === undefined) return refuse(response, 413, "The form is too large.");
    csrf.verify(session, request, form.get("_csrf"));
    const action = ACTIONS.get(path);
    if (action !== undefined) session.set("flash", await action(session, { form, manager }));
    else if (path === "/destroy") await session.destroy();
    else return race(session, request, response);
    redirect(response, action === undefined ? "/ended" : "/");
  }

  /** Adds one write to the race, or begins another. */
  async function race(
    session: Session<DemoSession>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (pathOf(request) === "/race/reset") {
      session.delete("race");
      session.delete("overwritten");
    } else {
      await addInPairs(session);
    }
    if (request.headers.accept !== "application/json") return redirect(response, "/#race");
    await session.save();
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(JSON.stringify({ kept: session.get("race") ?? 0, overwritten: session.get("overwritten") ?? 0 }));
  }

  /** Answers with the list of devices, or with 204 when the browser's session is over. */
  async function showDevices(session: Session<DemoSession>, response: ServerResponse): Promise<void> {
    if (session.status === "new") return void response.writeHead(204, { "Cache-Control": "no-store" }).end();
    send(response, 200, await devicesPart(manager, session, csrf.token(session)));
  }

  async function showHome(
    session: Session<DemoSession>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { status } = session;
    const flash = session.pop("flash");
    const visits = session.update("visits", (before = 0) => before + 1);
    const csrfToken = csrf.token(session);
    // nodeHandler would save at the end. Saved now, this session is among those counted and listed.
    await session.save();
    const home: Home = {
      session,
      csrfToken,
      status,
      flash,
      visits,
      devices: await devicesPart(manager, session, csrfToken),
      liveSessions: await countSessions(manager),
      location: store.location,
      elsewhere: elsewhereOf(request.headers.host),
    };
    send(response, 200, homePage(home));
  }

  const listener: NodeListener = (request, response) => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const path = pathOf(request);
    const isPost = request.method === "POST";
    const file = FILES.get(path);
    const isKnown = isBelow(path) || (isPost ? ACTIONS.has(path) || POSTED.has(path) : SHOWN.has(path));
    // Files need no session, so they cost no query.
    if (!isPost && file !== undefined) sendFile(response, file);
    else if (!isKnown) refuse(response, 404, "There is no such page.");
    else if (path === "/events") {
      streams.open(manager, request, response).catch((error: unknown) => answerError(error, request, response));
    } else withSession(request, response);
  };
  return { listener, manager, close: () => streams.close() };
}

/** Answers requests whose session could not be loaded or stored, or whose listener threw. */
function answerError(error: unknown, _request: IncomingMessage, response: ServerResponse): void {
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

/** Returns the same server under another name, for which a browser keeps other cookies: a second browser for the demo. */
function elsewhereOf(host = ""): string | undefined {
  const [, name, port] = /^(localhost|127\.0\.0\.1):(\d+)$/.exec(host) ?? [];
  return port === undefined ? undefined : `http://${name === "localhost" ? "127.0.0.1" : "localhost"}:${port}/`;
}

function isBelow(path: string): boolean {
  return path === DASHBOARD || path.startsWith(`${DASHBOARD}/`);
}

function send(response: ServerResponse, status: number, page: Html): void {
  response.writeHead(status, { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" });
  response.end(page.markup);
}

function sendFile(response: ServerResponse, { type, text }: { type: string; text: string }): void {
  response.writeHead(200, { "Content-Type": `${type}; charset=utf-8`, "Cache-Control": "no-cache" });
  response.end(text);
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
function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] ?? "/";
}
