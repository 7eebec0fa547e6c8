import pg from "pg";
import { expect, onTestFinished } from "vitest";
import { type DatabaseClient, PgStore, type PgStoreOptions, SessionManager } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";
import { openPostgresJs } from "../support/clients.ts";
import { cookieOf, serve, type Served } from "../support/serve.ts";

type Data = Record<string, unknown>;

/** postgres.js waits for up to 20 s before it connects again when many attempts have failed. */
const RECOVERY_MS = 30_000;

/** What an application has of its driver. */
export interface FaultyClient {
  db: DatabaseClient;
  /** Ends it. That fails, or takes for ever, as long as a connection is taken. */
  end(): Promise<unknown>;
}

/** The drivers whose connections can be broken. PGlite has none. */
const drivers = {
  "node-postgres": (url: string, max: number): FaultyClient => {
    const pool = new pg.Pool({ connectionString: url, max });
    pool.on("error", () => {});
    const end = async (): Promise<void> => {
      expect([pool.totalCount - pool.idleCount, pool.waitingCount]).toEqual([0, 0]);
      await pool.end();
    };
    return { db: pool, end };
  },
  "postgres.js": (url: string, max: number): FaultyClient => postgresJsClient(url, { max }),
};
export type FaultyDriver = keyof typeof drivers;
export const driverNames = Object.keys(drivers) as FaultyDriver[];

export function openClient(driver: FaultyDriver, url: string, max = 5): FaultyClient {
  return drivers[driver](url, max);
}

/** The same of postgres.js, with options of its own. */
export function postgresJsClient(url: string, options: Parameters<typeof openPostgresJs>[1]): FaultyClient {
  const { max = 5 } = options;
  const { db, query, close } = openPostgresJs(url, { ...options, max });
  // It doesn't tell what is taken: but statements that come at once get a connection each, if there are so many to be had.
  const connections = async (): Promise<number> => {
    const asked = Array.from({ length: max }, async () => (await query?.("SELECT pg_backend_pid() AS pid"))?.rows);
    const rows = (await Promise.all(asked)).flat() as { pid: number }[];
    return new Set(rows.map(({ pid }) => pid)).size;
  };
  const end = async (): Promise<void> => {
    await expect.poll(connections, { timeout: RECOVERY_MS }).toBe(max);
    await close();
  };
  return { db, end };
}

/** An application on a store, and everything that a fault may break. */
export interface FaultyApp extends Served {
  store: PgStore;
  manager: SessionManager<Data>;
  /** Resolves when a request is right again. @throws Error when none is within half a minute */
  recovered(): Promise<void>;
}

/**
 * Serves /inc, /set/KEY, /login, /renew, /logout and /get on a client. After the test nothing is left uncaught, and no
 * connection is taken.
 */
export async function startApp(client: FaultyClient, options: PgStoreOptions = {}): Promise<FaultyApp> {
  const uncaught: unknown[] = [];
  const note = (error: unknown): void => void uncaught.push(error);
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
  const store = new PgStore(client.db, { cleanupInterval: 0, ...options });
  // Failures are what these tests make; they are told apart by the status.
  const manager = new SessionManager<Data>(store, { onError: () => {} });
  const served = await serve(
    nodeHandler(manager, async (request, response) => {
      const session = manager.sessionOf(request);
      const [, action, key = ""] = (request.url ?? "").split("/");
      if (action === "set") session.set(key, key);
      if (action === "inc") session.update("n", (n) => ((n as number | undefined) ?? 0) + 1);
      if (action === "login") await session.login(key);
      if (action === "renew") await session.renewToken();
      if (action === "logout") await session.logout();
      response.end(JSON.stringify({ user: session.userId, n: session.get("n"), keys: session.keys() }));
    }),
  );
  const recovered = async (): Promise<void> => {
    const right = async (): Promise<unknown> => {
      const made = await served.get("/inc");
      const again = await served.get("/get", cookieOf(made));
      return again.status === 200 ? ((await again.json()) as { n: unknown }).n : again.status;
    };
    await expect.poll(right, { timeout: RECOVERY_MS, interval: 50 }).toBe(1);
  };
  onTestFinished(async () => {
    await served.close();
    await store.close();
    await client.end();
    await new Promise((resolve) => setImmediate(resolve));
    process.off("uncaughtException", note);
    process.off("unhandledRejection", note);
    expect(uncaught).toEqual([]);
  });
  return { ...served, store, manager, recovered };
}

/** What a client has been told, request by request, of one session. */
export interface Told {
  acknowledged: number;
  failed: number;
}

/** Raises one session's counter again and again until `isOver` says so; several clients at once, each with a session of its own. */
export async function load(
  app: FaultyApp,
  clients: number,
  isOver: () => boolean,
): Promise<Told & { wrong: string[] }> {
  const told = { acknowledged: 0, failed: 0, wrong: [] as string[] };
  const client = async (): Promise<void> => {
    let cookie: string | undefined;
    while (cookie === undefined) cookie = cookieOf(await app.get("/inc"));
    let least = 1;
    let most = 1;
    while (!isOver()) {
      const response = await app.get("/inc", cookie);
      if (response.status === 200) {
        const { n } = (await response.json()) as { n: number };
        // Each failed one may have been carried out or not; what was acknowledged is there.
        if (n < least + 1 || n > most + 1) told.wrong.push(`${n} is not between ${least + 1} and ${most + 1}`);
        least = most = n;
        told.acknowledged++;
        cookie = cookieOf(response) ?? cookie;
      } else {
        if (response.status !== 500) told.wrong.push(`status ${response.status}`);
        if (response.headers.getSetCookie().length > 0) told.wrong.push("a cookie with an error");
        await response.text();
        most++;
        told.failed++;
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return told;
}
