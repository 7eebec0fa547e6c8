import { sha256 } from "../core/token.ts";
import type { UserSession } from "../manager/user-sessions.ts";
import type { DashboardManager } from "./options.ts";

/**
 * Where a session is in its user's list, as links have it. With `hashTokens: false`, or in a table that another program fills, an id
 * is a token: pages and links hold only its hash.
 */
export interface Place {
  created: Date;
  /** Of the id. */
  hash: string;
}

/** Sessions that are looked through at a time. */
const PAGE_SESSIONS = 100;

/** Ids by their hashes, of the sessions that this process has shown last: so one can be followed that gets another id. */
const shown = new Map<string, string>();
const MAX_SHOWN_IDS = 10_000;

/** Hashes what is shown of a session instead of its id. */
export function hashOf({ id }: Pick<UserSession, "id">): string {
  const hash = sha256(id);
  shown.delete(hash);
  shown.set(hash, id);
  const [oldest] = shown.keys();
  if (shown.size > MAX_SHOWN_IDS && oldest !== undefined) shown.delete(oldest);
  return hash;
}

/** The place of a session, as the fields of a query. */
export function fieldsOf(session: Pick<UserSession, "created" | "id">): Record<string, string> {
  return { created: String(session.created.getTime()), session: hashOf(session) };
}

/** The place that a query has; undefined when it has none that can be. */
export function placeIn(query: URLSearchParams): Place | undefined {
  const [created, hash] = [Number(query.get("created") || Number.NaN), query.get("session")];
  if (!Number.isSafeInteger(created) || Math.abs(created) > 8e15 || hash === null || !/^[\w-]{43}$/.test(hash)) {
    return undefined;
  }
  return { created: new Date(created), hash };
}

/** The end of a list from which the sessions of an instant, and older ones, follow. */
export function beforeAllOf({ created }: Place): Pick<UserSession, "created" | "id"> {
  return { created: new Date(created.getTime() + 1), id: "" };
}

/**
 * Finds the session of a place among all that began at its instant, however many; also one that this process has shown and that has got
 * another id since.
 *
 * @throws as `manager.listByUser`
 */
export async function findAt(
  manager: DashboardManager,
  userId: string,
  place: Place,
  current?: string,
): Promise<UserSession | undefined> {
  const known = shown.get(place.hash);
  const now = known === undefined ? undefined : await manager.store.follow?.(known);
  const isIt = ({ id }: UserSession): boolean => id === now || sha256(id) === place.hash;
  // A new token leaves a session's place as it is; a new login makes it one of the newest.
  const newest = now === undefined ? [] : await manager.listByUser(userId, { limit: PAGE_SESSIONS, current });
  const renewed = newest.find(isIt);
  if (renewed !== undefined) return renewed;
  for (let after = beforeAllOf(place); ;) {
    const page = await manager.listByUser(userId, { limit: PAGE_SESSIONS, after, current });
    const found = page.find(isIt);
    const last = page.at(-1);
    if (found !== undefined || last === undefined || page.length < PAGE_SESSIONS) return found;
    if (last.created.getTime() < place.created.getTime()) return undefined;
    after = last;
  }
}
