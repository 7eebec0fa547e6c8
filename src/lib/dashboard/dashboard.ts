import type { IncomingMessage, ServerResponse } from "node:http";
import { pathsOf, serveNode } from "./node.ts";
import { type DashboardManager, type DashboardOptions, type DashboardRequest, resolveDashboard } from "./options.ts";
import { locate, respond } from "./router.ts";

/** A mountable dashboard: a handler of web-standard requests, a listener for node:http and middleware in one. */
export interface Dashboard {
  (request: Request): Promise<Response>;
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void;
}

/**
 * Creates a web page for operators, which counts sessions, finds them by user and revokes them. It never shows tokens or the data of
 * a session.
 *
 * @throws TypeError when an option is wrong, `authorize` is missing, or the manager has `hashTokens: false`
 * @example
 * app.use("/admin/sessions", dashboard(manager, { authorize: (request) => isAdmin(request) }));
 */
export function dashboard<Req extends object = DashboardRequest>(
  manager: DashboardManager,
  options: DashboardOptions<Req>,
): Dashboard {
  const resolved = resolveDashboard(manager, options);
  const { prefix } = resolved;

  const serve = (request: Request | IncomingMessage, response?: unknown, next?: unknown): unknown => {
    // Bun.serve and Deno.serve pass arguments of their own here.
    if (!isNodeResponse(response)) {
      const asked = request as Request;
      return respond(resolved, { request: asked, original: asked }, locate(prefix, new URL(asked.url).pathname));
    }
    const original = request as IncomingMessage;
    const target = locate(prefix, ...pathsOf(original));
    if (target === undefined && typeof next === "function") (next as () => void)();
    else serveNode(original, response, (asked) => respond(resolved, { request: asked, original }, target));
    return undefined;
  };
  return serve as Dashboard;
}

function isNodeResponse(value: unknown): value is ServerResponse {
  return typeof (value as { setHeader?: unknown } | null | undefined)?.setHeader === "function";
}
