import { isIP } from "node:net";
import type { FoundSession } from "../core/stats.ts";
import type { OwnedPlace } from "../core/store.ts";
import { isToken, sha256 } from "../core/token.ts";
import type { UserSession } from "../manager/user-sessions.ts";
import type { DashboardManager, ResolvedDashboard } from "./options.ts";

/**
 * Place of a session in its user's list, for links. It holds a hash of the id, because an id can be a token: another manager may use
 * `hashTokens: false` on the same table, or another program may fill it.
 */
interface Place {
  created: Date;
  /** SHA-256 of the id. */
  hash: string;
}

/** Sessions that one query reads. */
const PAGE_SESSIONS = 100;

/** Ids of the sessions that this process has shown last, by hash. They find a session that has got a new id since. */
const shown = new Map<string, string>();
const MAX_SHOWN_IDS = 10_000;

/** Returns the hash that pages show instead of a session's id. */
function hashOf(id: string): string {
  const hash = sha256(id);
  shown.delete(hash);
  shown.set(hash, id);
  const [oldest] = shown.keys();
  if (shown.size > MAX_SHOWN_IDS && oldest !== undefined) shown.delete(oldest);
  return hash;
}

/** Returns the place of a session as the fields of a query. */
export function fieldsOf({ created, id }: OwnedPlace): Record<string, string> {
  return { created: String(created.getTime()), session: hashOf(id) };
}

/** Reads a place from a query. Undefined: the query has none, or no valid one. */
export function placeIn(query: URLSearchParams): Place | undefined {
  const [created, hash] = [Number(query.get("created") || Number.NaN), query.get("session")];
  if (!Number.isSafeInteger(created) || Math.abs(created) > 8e15 || hash === null || !/^[\w-]{43}$/.test(hash)) {
    return undefined;
  }
  return { created: new Date(created), hash };
}

/** Returns the position in a list just before all sessions created at a place's instant. */
export function beforeAllOf({ created }: Place): OwnedPlace {
  return { created: new Date(created.getTime() + 1), id: "" };
}

/**
 * Finds the session of a place, however many sessions began at the same instant. A session that this process has shown is found under
 * a new id as well.
 *
 * @throws PgStoreError when the store fails
 */
export async function findAt(
  { manager, users }: ResolvedDashboard,
  userId: string,
  place: Place,
  currentId?: string,
): Promise<UserSession | undefined> {
  const shownId = shown.get(place.hash);
  const newId = shownId === undefined ? undefined : await manager.store.follow?.(shownId);
  const isIt = ({ id }: UserSession): boolean => id === newId || sha256(id) === place.hash;
  // A new token leaves a session in its place, but a new login makes it one of the newest.
  const newest =
    newId === undefined ? [] : await users.listByUser(userId, { limit: PAGE_SESSIONS, current: currentId });
  const renewed = newest.find(isIt);
  if (renewed !== undefined) return renewed;
  for (let after = beforeAllOf(place); ;) {
    const page = await users.listByUser(userId, { limit: PAGE_SESSIONS, after, current: currentId });
    const found = page.find(isIt);
    const last = page.at(-1);
    if (found !== undefined || last === undefined || page.length < PAGE_SESSIONS) return found;
    if (last.created.getTime() < place.created.getTime()) return undefined;
    after = last;
  }
}

/** Says whether a text is an IP address or has the form of a session's id. Other texts are the beginnings of user ids. */
export function isAboutSessions(text: string): boolean {
  return isIP(text) > 0 || isToken(text);
}

/** Says whether a text may be the beginning of a session's id, as pages show it. It may be a user's as well. */
export function isBeginningOfId(text: string): boolean {
  return /^[\w-]{12,43}$/.test(text);
}

/**
 * Finds a session by its id, by an id from before it renewed its token, or by a hash that this process has shown.
 *
 * @throws PgStoreError when the store fails
 */
export async function findById({ store }: DashboardManager, text: string): Promise<FoundSession | undefined> {
  const shownId = shown.get(text);
  const ids = shownId === undefined ? [text] : [text, shownId];
  for (const id of ids) {
    const found = await store.operations?.findSession((await store.follow?.(id)) ?? id);
    if (found !== undefined) return found;
  }
  return undefined;
}
