import type { IncomingMessage } from "node:http";
import { csrfProtection } from "../../adapters/csrf.ts";
import { fetchHandler } from "../../adapters/fetch.ts";
import type { NodeListener } from "../../adapters/node.ts";
import { CsrfError, StoreUnavailableError } from "../../core/errors.ts";
import type { Store, StoreExtras } from "../../core/store.ts";
import { systemNow } from "../../core/time.ts";
import { dashboard } from "../../dashboard/dashboard.ts";
import { serveNode } from "../../dashboard/node.ts";
import type { Html } from "../../dashboard/pages/html.ts";
import { pageResponse, redirectResponse, textResponse } from "../../dashboard/responses.ts";
import { readFields } from "../../http/form.ts";
import { SessionManager } from "../../manager/session-manager.ts";
import type { Session } from "../../session/session.ts";
import { type Action, ACTIONS, type DemoSession } from "./actions.ts";
import { LiveStreams } from "./live.ts";
import { devicesPart, endedPage, homePage, messagePage } from "./page.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

/** Counting stops here, as it reads every row. */
const MAX_COUNTED_SESSIONS = 1000;
/** Devices that the page lists. */
const MAX_DEVICES = 20;
const MAX_FORM_BYTES = 10 * 1024;
const DASHBOARD = "/dashboard";

const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; " +
    "base-uri 'none'; frame-ancestors 'none'",
};

const FILES = new Map([
  ["/style.css", { type: "text/css", text: STYLE }],
  ["/demo.js", { type: "text/javascript", text: SCRIPT }],
]);

const csrf = csrfProtection();

type Handler = (request: Request, session: Session<DemoSession>) => Response | Promise<Response>;

/**
 * Makes the demo on a store.
 *
 * @param store - `location` is shown
 * @returns a listener for `http.createServer`, and `close`, which closes the pages' streams, so that the server can stop
 */
export function createDemo(store: Store & StoreExtras & { readonly location?: string | undefined }) {
  const streams = new LiveStreams();
  const manager = new SessionManager<DemoSession>(store, {
    lifetime: "7d",
    recordIp: true,
    recordUserAgent: true,
    onError: answerError,
    onLogin: ({ userId }) => streams.devicesChanged(userId),
    onEnd: ({ userId }) => streams.devicesChanged(userId),
  });
  const operators = dashboard<Request>(manager, {
    prefix: DASHBOARD,
    title: "pgstore demo",
    // In an application only operators may see it.
    authorize: (request) => manager.sessionOf(request).userId !== undefined || redirectResponse(303, "/"),
  });

  async function devicesOf(session: Session<DemoSession>, csrfToken: string): Promise<Html> {
    const { userId } = session;
    const mine = { current: session, limit: MAX_DEVICES };
    const devices = userId === undefined ? [] : await manager.listByUser(userId, mine);
    return devicesPart(devices, csrfToken, (await store.now?.()) ?? systemNow());
  }

  /** Makes a handler of a form. */
  function posted(action: Action): Handler {
    return async (request, session) => {
      const form = await readFields(request, MAX_FORM_BYTES);
      if (form === undefined) return page(413, messagePage("The form is too large."));
      try {
        csrf.verify(session, request, form.get("_csrf"));
      } catch (error) {
        return answerError(error);
      }
      const answer = await action(session, { form, request, manager });
      if (answer instanceof Response) return answer;
      session.set("flash", answer);
      // So that reloading the page does not send the form again.
      return redirectResponse(303, "/");
    };
  }

  const handlers: Record<string, Handler> = {
    async "GET /"(request, session) {
      const { status } = session;
      const flash = session.pop("flash");
      const visits = session.update("visits", (before = 0) => before + 1);
      const csrfToken = csrf.token(session);
      // fetchHandler would save at the end. Saved now, this session is among those counted and listed.
      await session.save();
      const home = homePage({
        session,
        csrfToken,
        status,
        flash,
        visits,
        devices: await devicesOf(session, csrfToken),
        liveSessions: await countSessions(manager),
        location: store.location,
        elsewhere: elsewhereOf(request.url),
      });
      return page(200, home);
    },

    /** Answers with the list of devices, or with 204 when the browser's session is over. */
    async "GET /devices"(_request, session) {
      const headers = { "Cache-Control": "no-store" };
      if (session.status === "new") return new Response(null, { status: 204, headers });
      return page(200, await devicesOf(session, csrf.token(session)));
    },

    /** A session without values gets no row and no cookie. */
    "GET /ended"(_request, session) {
      return session.status === "new" ? page(200, endedPage()) : redirectResponse(303, "/");
    },

    ...Object.fromEntries(Object.entries(ACTIONS).map(([path, action]) => [`POST ${path}`, posted(action)])),
  };

  /** Answers a request. Only known paths cost a query for the session. @param incoming - has the client's address */
  async function answer(request: Request, incoming: IncomingMessage): Promise<Response> {
    const { pathname } = new URL(request.url);
    const file = FILES.get(pathname);
    if (file !== undefined) return textResponse(200, file.type, file.text, { ...HEADERS, "Cache-Control": "no-cache" });
    const isBelow = pathname === DASHBOARD || pathname.startsWith(`${DASHBOARD}/`);
    const method = request.method === "HEAD" ? "GET" : request.method;
    const handler = isBelow ? operators : handlers[`${method} ${pathname}`];
    if (handler === undefined) return page(404, messagePage("There is no such page."));
    return fetchHandler<DemoSession, false, [object]>(manager, handler)(request, { incoming });
  }

  const listener: NodeListener = (request, response) => {
    const serve = (handle: (asked: Request) => Promise<Response>): void => serveNode(request, response, handle);
    const [path, query] = (request.url ?? "").split("?", 2);
    if (path !== "/events") return serve((asked) => answer(asked, request));
    const shown = new URLSearchParams(query).get("session");
    streams.open(manager, shown, request, response).catch((error: unknown) => serve(async () => answerError(error)));
  };
  return { listener, close: () => streams.close() };
}

/** Answers requests whose session could not be loaded or stored, or whose handler threw. */
function answerError(error: unknown): Response {
  if (error instanceof CsrfError) {
    const text = "The form did not come from this page, or is outdated. Reload the page and try again.";
    return page(403, messagePage(text));
  }
  console.error("pgstore demo:", error);
  return error instanceof StoreUnavailableError
    ? page(503, messagePage("The database does not answer. Try again soon."))
    : page(500, messagePage("Something went wrong."));
}

async function countSessions(manager: SessionManager<DemoSession>): Promise<string> {
  let count = 0;
  for await (const _ of manager.iterate()) {
    count += 1;
    if (count === MAX_COUNTED_SESSIONS) return `${count} or more`;
  }
  return String(count);
}

/** Returns the same server under another name, for which a browser keeps other cookies: a second browser for the demo. */
function elsewhereOf(url: string): string | undefined {
  const [, name, port] = /^http:\/\/(localhost|127\.0\.0\.1)(:\d+)/.exec(url) ?? [];
  return port === undefined ? undefined : `http://${name === "localhost" ? "127.0.0.1" : "localhost"}${port}/`;
}

function page(status: number, content: Html): Response {
  return pageResponse(status, content, HEADERS);
}
