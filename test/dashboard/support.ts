import type { Pool } from "pg";
import { PgStore, type Session, SessionManager, type SessionOptions } from "../../src/index.ts";
import { dashboard, type Dashboard, type DashboardOptions } from "../../src/dashboard.ts";
import { createDatabase } from "../support/database.ts";

/** A database with sessions, as the dashboard meets it. */
export interface Place {
  /** A connection text of the database. */
  url: string;
  /** The administrator's. */
  pool: Pool;
  store: PgStore;
  manager: SessionManager;
  /** Logs somebody in. */
  login(userId: string, ip?: string, userAgent?: string): Promise<Session>;
  /** Who of these are still logged in. */
  alive(...sessions: Session[]): Promise<boolean[]>;
  /** Asks a dashboard without a prefix, whose pages everybody may see unless the options say otherwise. */
  ask(path: string, init?: RequestInit, options?: Partial<DashboardOptions<Request>>): Promise<Response>;
  drop(): Promise<void>;
}

export const ORIGIN = "http://app.test";

export async function openPlace(options: SessionOptions = {}): Promise<Place> {
  const database = await createDatabase();
  const [own, pool] = [database.pool({ max: 5 }), database.admin({ max: 1 })];
  for (const one of [own, pool]) one.on("error", () => {});
  const store = new PgStore(own, { cleanupInterval: 0 });
  const manager = new SessionManager(store, { recordIp: true, recordUserAgent: true, ...options });
  const login = async (userId: string, ip?: string, userAgent?: string): Promise<Session> => {
    const session = await manager.loadFrom({}, () => ({ ip, userAgent }));
    session.set("notes" as never, "nobody may see this" as never);
    await session.login(userId);
    await manager.commit(session);
    return session;
  };
  return {
    url: database.url,
    pool,
    store,
    manager,
    login,
    alive: (...sessions) =>
      Promise.all(sessions.map(async ({ token }) => (await manager.load(token)).userId !== undefined)),
    ask: (path, init, given) => openTo(manager, given)(new Request(ORIGIN + path, init)),
    drop: () => database.drop(),
  };
}

/** A dashboard that lets everybody in, unless the options say otherwise. */
export function openTo(manager: SessionManager, options: Partial<DashboardOptions<Request>> = {}): Dashboard {
  return dashboard<Request>(manager, { authorize: () => true, ...options });
}

/** A form as a browser sends it from our own page. */
export function post(fields: Record<string, string>, headers: Record<string, string> = {}): RequestInit {
  return {
    method: "POST",
    headers: { "sec-fetch-site": "same-origin", origin: ORIGIN, ...headers },
    body: new URLSearchParams(fields),
  };
}

/** What the first form that a page posts holds. */
export function fieldsOf(page: string): Record<string, string> {
  const form = /<form method="post"[\s\S]*?<\/form>/.exec(page)?.[0] ?? "";
  const inputs = form.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g);
  return Object.fromEntries([...inputs].map(([, name = "", value = ""]) => [name, unescape(value)]));
}

/** The addresses of links whose text, or label, begins so. */
export function linksOf(page: string, text: string): string[] {
  return [...page.matchAll(/<a\b([^>]*)>([^<]*)/g)]
    .filter(([, , shown = ""]) => shown.trim() === text)
    .map(([, attributes = ""]) => unescape(/href="([^"]*)"/.exec(attributes)?.[1] ?? ""));
}

function unescape(text: string): string {
  const entities: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };
  return text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity] ?? entity);
}
