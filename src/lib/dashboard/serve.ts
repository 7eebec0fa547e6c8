import http from "node:http";
import type { AddressInfo } from "node:net";
import { lowerAscii } from "../http/headers.ts";
import { cookieValues, setCookie } from "../http/cookie.ts";
import { createToken, isToken, sha256 } from "../core/token.ts";
import { dashboard } from "./dashboard.ts";
import { serveNode } from "./node.ts";
import type { DashboardManager } from "./options.ts";
import { plainResponse, redirectResponse } from "./responses.ts";

/** What `serveDashboard` takes. */
export interface ServeOptions {
  manager: DashboardManager;
  /** An address of loopback. Default `"127.0.0.1"`. */
  host?: string;
  /** 0: any that is free. Default 0. */
  port?: number;
  title?: string;
}

/** A dashboard that is served. */
export interface ServedDashboard {
  /** The link that opens it, once: whoever comes first has it. It holds a secret. */
  url: string;
  /** The dashboard's own address, for whoever has been let in. */
  address: string;
  /** Stops it. Idempotent. */
  close(): Promise<void>;
}

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

/** Loopback, as a Host header has it. */
const NAMES = ["127.0.0.1", "[::1]", "localhost"];

const ENTRANCE = "/open";

/**
 * Serves the dashboard on this machine only, to the one browser that opens its link. The link's secret is exchanged for a
 * cookie, once; both are in this process's memory only.
 *
 * @throws TypeError when the host isn't loopback, or the manager is none for the dashboard; what `listen` throws
 */
export async function serveDashboard({
  manager,
  host = "127.0.0.1",
  port = 0,
  title,
}: ServeOptions): Promise<ServedDashboard> {
  if (!LOOPBACK.has(host)) throw new TypeError("host: must be 127.0.0.1, ::1 or localhost");
  // Hashes are compared, so how long that takes tells nothing of the secrets.
  let linkHash: string | undefined;
  let cookieHash: string | undefined;
  let cookieName = "";
  const authorize = ({ headers }: Request): boolean =>
    cookieValues(headers.get("cookie") ?? undefined, cookieName, isToken).some((value) => sha256(value) === cookieHash);
  // Browsers send a cookie to every port of a host, but only below its path: no other server here knows this one.
  const folder = `/${createToken()}`;
  const show = dashboard(manager, { prefix: folder, authorize, ...(title === undefined ? {} : { title }) });

  /** Exchanges the link's secret for a cookie. A look-ahead that sends HEAD does not use it up. */
  const letIn = (method: string, secret: string): Response => {
    if (method !== "GET" || linkHash === undefined || sha256(secret) !== linkHash) {
      const used = "This link does not open the dashboard, or it has been used. Start it again for a new one.\n";
      return plainResponse(403, used);
    }
    linkHash = undefined;
    const token = createToken();
    cookieHash = sha256(token);
    const attributes = { name: cookieName, path: `${folder}/`, domain: undefined, partitioned: false } as const;
    const cookie = setCookie({ ...attributes, httpOnly: true, sameSite: "strict" }, false, token);
    return redirectResponse(303, `.${folder}/`, { "Set-Cookie": cookie });
  };

  const answer = async (request: Request): Promise<Response> => {
    // A page of another site whose name leads to loopback must not get in.
    if (!isLoopback(request.headers.get("host") ?? "", portOf(server))) {
      return plainResponse(421, "Misdirected Request\n");
    }
    const { pathname, searchParams } = new URL(request.url);
    return pathname === ENTRANCE ? letIn(request.method, searchParams.get("once") ?? "") : show(request);
  };

  const server = http.createServer((request, response) => serveNode(request, response, answer));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const bound = portOf(server);
  // Cookies don't know ports: two dashboards must not take each other's.
  cookieName = `pgstore_dashboard_${bound}`;
  const secret = createToken();
  linkHash = sha256(secret);
  const origin = `http://${host.includes(":") ? `[${host}]` : host}:${bound}`;
  return { url: `${origin}${ENTRANCE}?once=${secret}`, address: `${origin}${folder}/`, close: () => close(server) };
}

function portOf(server: http.Server): number {
  return (server.address() as AddressInfo).port;
}

/** Says whether a Host header names this machine and the port. Browsers leave port 80 out. */
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
