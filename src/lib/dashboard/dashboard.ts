import type { IncomingMessage, ServerResponse } from "node:http";
import { type Ask, isResponse } from "./exchange.ts";
import { askOfFetch, toResponse } from "./fetch-host.ts";
import { askOfNode, passToNode, sendToNode } from "./node-host.ts";
import { type DashboardManager, type DashboardOptions, type DashboardRequest, resolveDashboard } from "./options.ts";
import { answer, notFound } from "./router.ts";

/** The dashboard, to be mounted: a handler of web-standard requests, a listener for node:http and middleware in one. */
export interface Dashboard {
  (request: Request): Promise<Response>;
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void;
}

/**
 * Makes the dashboard: how many sessions there are, what becomes of them, whose they are, and buttons to end them. It shows
 * neither tokens nor what a session holds.
 *
 * @throws TypeError when an option is wrong, `authorize` is missing, or the manager has `hashTokens: false`
 * @example
 * app.use("/admin/sessions", dashboard(manager, { authorize: (request) => isAdmin(request) }));
 */
export function dashboard<Req extends object = DashboardRequest>(
  manager: DashboardManager,
  options: DashboardOptions<Req>,
): Dashboard {
  const site = resolveDashboard(manager, options);

  async function serveFetch(request: Request): Promise<Response> {
    const ask = askOfFetch(request, site.prefix);
    const given = ask === undefined ? notFound() : await answer(site, ask);
    return isResponse(given) ? given : toResponse(given, request.method);
  }

  async function serveNode(request: IncomingMessage, response: ServerResponse, ask: Ask | undefined): Promise<void> {
    const given = ask === undefined ? notFound() : await answer(site, ask);
    if (isResponse(given)) await passToNode(response, given);
    else sendToNode(response, request.method ?? "GET", given);
  }

  function serve(request: Request): Promise<Response>;
  function serve(request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void;
  function serve(
    request: Request | IncomingMessage,
    response?: unknown,
    next?: unknown,
  ): Promise<Response> | undefined {
    // Servers of web-standard requests pass other things besides.
    if (!isNodeResponse(response)) return serveFetch(request as Request);
    const incoming = request as IncomingMessage;
    const ask = askOfNode(incoming, site.prefix);
    if (ask === undefined && typeof next === "function") {
      (next as () => void)();
      return undefined;
    }
    serveNode(incoming, response, ask).catch((error: unknown) => {
      console.error("pgstore: the dashboard failed:", error);
      response.destroy();
    });
    return undefined;
  }
  return serve;
}

function isNodeResponse(value: unknown): value is ServerResponse {
  return typeof (value as { setHeader?: unknown } | null | undefined)?.setHeader === "function";
}
