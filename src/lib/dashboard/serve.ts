import http from "node:http";
import type { AddressInfo } from "node:net";
import { lowerAscii } from "../http/headers.ts";
import { cookieValues, setCookie } from "../http/cookie.ts";
import { createToken, isToken, sha256 } from "../core/token.ts";
import { plainAnswer, redirectAnswer } from "./answers.ts";
import { dashboard } from "./dashboard.ts";
import { sendToNode } from "./node-host.ts";
import type { DashboardManager } from "./options.ts";

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
  const isLetIn = (request: http.IncomingMessage): boolean =>
    cookieValues(request.headers.cookie, cookieName, isToken).some((value) => sha256(value) === cookieHash);
  // Browsers send a cookie to every port of a host, but only below its path: no other server here knows this one.
  const folder = `/${createToken()}`;
  const show = dashboard(manager, { prefix: folder, authorize: isLetIn, ...(title === undefined ? {} : { title }) });

  /** Exchanges the link's secret for a cookie. A look-ahead that sends HEAD does not use it up. */
  const letIn = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const once = new URLSearchParams(request.url?.slice(ENTRANCE.length + 1)).get("once") ?? "";
    const method = request.method ?? "GET";
    if (method !== "GET" || linkHash === undefined || sha256(once) !== linkHash) {
      const used = "This link does not open the dashboard, or it has been used. Start it again for a new one.\n";
      return sendToNode(response, method, plainAnswer(403, used));
    }
    linkHash = undefined;
    const secret = createToken();
    cookieHash = sha256(secret);
    const attributes = { name: cookieName, path: `${folder}/`, domain: undefined, partitioned: false } as const;
    const answer = redirectAnswer(303, `.${folder}/`);
    answer.headers["Set-Cookie"] = setCookie({ ...attributes, httpOnly: true, sameSite: "strict" }, false, secret);
    sendToNode(response, method, answer);
  };

  const server = http.createServer((request, response) => {
    // A page of another site whose name leads to loopback must not reach us.
    if (!isOurHost(request.headers.host, server)) {
      sendToNode(response, request.method ?? "GET", plainAnswer(421, "Misdirected Request\n"));
    } else if (request.url?.split("?", 1)[0] === ENTRANCE) letIn(request, response);
    else show(request, response);
  });
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

function isOurHost(host: string | undefined, server: http.Server): boolean {
  const port = portOf(server);
  // Of port 80 the browser says nothing.
  const ports = port === 80 ? ["", ":80"] : [`:${port}`];
  return NAMES.some((name) => ports.some((suffix) => host !== undefined && lowerAscii(host) === name + suffix));
}

function close(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
