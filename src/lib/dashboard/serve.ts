import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { lowerAscii } from "../http/headers.ts";
import { cookieValues } from "../http/cookie.ts";
import { createToken, isToken, sha256 } from "../core/token.ts";
import { strictCookie } from "./csrf.ts";
import { dashboard } from "./dashboard.ts";
import { serveNode } from "./node.ts";
import type { DashboardManager } from "./options.ts";
import { plainResponse, redirectResponse } from "./responses.ts";

/** Options of `serveDashboard`. */
interface ServeOptions {
  manager: DashboardManager;
  /** Port to listen on. 0: any free port. Default 0. */
  port?: number;
  title?: string;
}

/** A running dashboard. */
export interface ServedDashboard {
  /** Link that opens the dashboard for the first browser that uses it. It holds a secret. */
  url: string;
  /** Address of the dashboard, for the browser that has used the link. */
  address: string;
  /** Stops the server. Idempotent. */
  close(): Promise<void>;
}

const HOST = "127.0.0.1";

/** Loopback names in a Host header. */
const NAMES = [HOST, "[::1]", "localhost"];

const ENTRANCE = "/open";

/**
 * Serves the dashboard on this machine only, to the first browser that opens its link. The secret in the link is exchanged for a
 * cookie, once. Both are kept in memory only.
 *
 * @throws TypeError when `dashboard` refuses the manager
 * @throws Error of node:net when the server can't listen, with code EADDRINUSE when the port is taken
 */
export async function serveDashboard({ manager, port = 0, title }: ServeOptions): Promise<ServedDashboard> {
  // Only hashes are compared, so the time that takes reveals nothing about the secrets.
  let linkHash: string | undefined;
  let cookieHash: string | undefined;
  let cookieName = "";
  const authorize = ({ headers }: Request): boolean =>
    cookieValues(headers.get("cookie") ?? undefined, cookieName, isToken).some((value) => sha256(value) === cookieHash);
  // Browsers send a cookie to every port of a host, but only below its path, which no other server here knows.
  const folder = `/${createToken()}`;
  const show = dashboard(manager, { prefix: folder, authorize, title });

  /** Exchanges the link's secret for a cookie. A HEAD, as previews of links send, doesn't use it up. */
  const letIn = (method: string, secret: string): Response => {
    if (method !== "GET" || linkHash === undefined || sha256(secret) !== linkHash) {
      const used = "This link does not open the dashboard, or it has been used. Start it again for a new one.\n";
      return plainResponse(403, used);
    }
    linkHash = undefined;
    const token = createToken();
    cookieHash = sha256(token);
    const cookie = strictCookie(cookieName, `${folder}/`, false, token);
    return redirectResponse(303, `.${folder}/`, { "Set-Cookie": cookie });
  };

  const answer = async (request: Request): Promise<Response> => {
    // DNS rebinding: a page of another site may have a name that resolves to loopback.
    if (!isLoopback(request.headers.get("host") ?? "", portOf(server))) {
      return plainResponse(421, "Misdirected Request\n");
    }
    const { pathname, searchParams } = new URL(request.url);
    return pathname === ENTRANCE ? letIn(request.method, searchParams.get("once") ?? "") : show(request);
  };

  const server = http.createServer((request, response) => serveNode(request, response, answer));
  await once(server.listen(port, HOST), "listening");
  const bound = portOf(server);
  // Cookies ignore ports, so two dashboards need cookies of different names.
  cookieName = `pgstore_dashboard_${bound}`;
  const secret = createToken();
  linkHash = sha256(secret);
  const origin = `http://${HOST}:${bound}`;
  return { url: `${origin}${ENTRANCE}?once=${secret}`, address: `${origin}${folder}/`, close: () => close(server) };
}

function portOf(server: http.Server): number {
  return (server.address() as AddressInfo).port;
}

/** Says whether a Host header names loopback and the port. Browsers leave out port 80. */
function isLoopback(host: string, port: number): boolean {
  const ports = port === 80 ? ["", ":80"] : [`:${port}`];
  return NAMES.some((name) => ports.some((suffix) => lowerAscii(host) === name + suffix));
}

function close(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
