import { shortId } from "../core/format-number.ts";
import { assertUserId } from "../core/user-id.ts";
import type { OwnedEntry, OwnedPlace, UserStore } from "../core/store.ts";
import type { PgStore } from "../postgres/pg-store.ts";
import { UsageError } from "./failures.ts";

const PAGE_ROWS = 1000;

/**
 * Finds the full id of a session, with a user among that user's live sessions.
 *
 * @param id - a full id, also one that was listed before a renewal, or with a user its beginning
 */
export async function fullIdOf(store: PgStore, id: string, user: string | undefined): Promise<string | undefined> {
  if (user === undefined) return (await store.follow(id)) ?? id;
  const users = usersOf(store, user);
  const found = await findId(users, user, id);
  if (found !== undefined) return found;
  const successor = await store.follow(id);
  return successor && findId(users, user, successor);
}

/** Returns the part of a store that knows users. @throws TypeError when the user's id is malformed. UsageError when the table has no users. */
export function usersOf(store: PgStore, userId: string): UserStore {
  assertUserId("--user", userId);
  if (store.users === undefined) throw new UsageError("this table has no sessions by user. Use --id or --all");
  return store.users;
}

/**
 * Finds the full id of one of a user's live sessions.
 *
 * @param prefix - the id, or its beginning as `list` shows it
 * @returns undefined when no id begins so
 * @throws UsageError when several ids do, or when the prefix is empty, as a script's unset variable is
 */
async function findId(users: UserStore, userId: string, prefix: string): Promise<string | undefined> {
  if (prefix === "") throw new UsageError("--id, --except: expected an id or its beginning, got an empty string");
  const found = new Set<string>();
  let after: OwnedPlace | undefined;
  for (;;) {
    const page: OwnedEntry[] = await users.list(userId, PAGE_ROWS, after);
    for (const { id } of page) {
      if (id === prefix) return id;
      if (id.startsWith(prefix)) found.add(id);
    }
    if (page.length < PAGE_ROWS) break;
    after = page.at(-1);
  }
  if (found.size > 1) {
    throw new UsageError(
      `${found.size} sessions of this user begin with ${shortId(prefix)}. Pass more characters of the id.`,
    );
  }
  return [...found][0];
}
