import http from "node:http";
import http2 from "node:http2";
import {
  type CookieOptions,
  type Duration,
  MemoryStore,
  PgStore,
  type PgStoreOptions,
  SessionManager,
  type SessionOptions,
} from "pgstore";
import { csrfProtection, type CsrfOptions } from "pgstore/csrf";
import { fetchHandler } from "pgstore/fetch";
import { connect, fromUpgrade, nodeHandler, type UpgradeOptions } from "pgstore/node";
import { manage, type ManageOptions } from "pgstore/scs";

/** What options take, with `exactOptionalPropertyTypes` too. */
const store = new MemoryStore();

/** As a program has them that reads its configuration: each key, and perhaps no value. */
type Given<Options> = { [Key in keyof Options]-?: Options[Key] | undefined };

export function open(
  session: Given<SessionOptions>,
  cookie: Given<CookieOptions>,
  postgres: Given<PgStoreOptions>,
  csrf: Given<CsrfOptions>,
  upgrade: Given<UpgradeOptions>,
  scs: Given<ManageOptions>,
  request: http.IncomingMessage,
): unknown[] {
  const manager = new SessionManager(store, { ...session, cookie });
  return [
    new PgStore({ query: async () => ({ rows: [] }) }, postgres),
    csrfProtection(csrf),
    fromUpgrade(manager, request, upgrade),
    manage(store, scs),
    connect(manager, { property: undefined }),
    manager.listByUser("a", { limit: undefined, after: undefined, current: undefined }),
    manager.destroyByUser("a", { except: undefined }),
    manager.destroyAll({ onProgress: undefined }),
    manager.load().then(async (loaded) => {
      await loaded.login("a", {
        remember: undefined,
        lifetime: undefined,
        idleTimeout: undefined,
        keep: undefined,
        tags: undefined,
      });
      await loaded.renewToken({ restart: undefined });
      return manager.commit(loaded, { tls: undefined, seal: undefined });
    }),
  ];
}

const durations: Duration[] = [0, 60_000, "20m", "24h", "30 days", "1.5h", "1 Day", "5 MIN", "100ms"];
new SessionManager(store, { lifetime: durations[0], idleTimeout: "20m" });
// @ts-expect-error a duration without a unit
new SessionManager(store, { lifetime: "5" });
// @ts-expect-error a mistyped unit
new SessionManager(store, { idleTimeout: "20 minuts" });

const manager = new SessionManager(store, {
  onError: (error, request, response) => {
    response.statusCode = 503;
    response.end(`${String(error)} ${request.url ?? ""}`);
  },
});
new SessionManager(store, { onError: (_error, request: http.IncomingMessage) => request.headers.host });
new SessionManager(store, { onError: (_error, request: Request) => new Response(request.headers.get("host")) });

const handler = nodeHandler(manager, (request, response) => void response.end(request.url));
http.createServer(handler);
http.createServer({ keepAlive: true }, handler);
http2.createServer(handler);
http2.createServer({}, handler);
http2.createSecureServer(handler);
http2.createSecureServer({ allowHTTP1: true }, handler);
http2.createSecureServer({}).on("request", handler);

const answer: (request: Request) => Promise<Response> = fetchHandler(
  manager,
  (_request, session) => new Response(session.userId ?? "nobody"),
);
export const served = answer;
