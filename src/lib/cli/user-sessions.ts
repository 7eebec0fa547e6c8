import { shortId } from "../core/format-number.ts";
import { assertUserId } from "../core/user-id.ts";
import type { OwnedEntry, OwnedPlace, UserStore } from "../core/store.ts";
import type { PgStore } from "../postgres/pg-store.ts";
import { UsageError } from "./failures.ts";

const PAGE = 1000;

/** @throws TypeError when no user can be called that */
export function usersOf(store: PgStore, userId: string): UserStore {
  assertUserId("--user", userId);
  if (store.users === undefined) throw new UsageError("this table keeps no sessions by user: use --id or --all");
  return store.users;
}

/**
 * The full id of one of a user's live sessions.
 *
 * @param prefix - the id, or its beginning as the list shows it
 * @returns undefined when none begins so
 * @throws UsageError when several do, or when it is empty, as a script's variable may be
 */
export async function findId(users: UserStore, userId: string, prefix: string): Promise<string | undefined> {
  if (prefix === "") throw new UsageError("--id, --except: must be an id, or its beginning");
  const found = new Set<string>();
  let after: OwnedPlace | undefined;
  for (;;) {
    const page: OwnedEntry[] = await users.list(userId, PAGE, after);
    for (const { token } of page) {
      if (token === prefix) return token;
      if (token.startsWith(prefix)) found.add(token);
    }
    if (page.length < PAGE) break;
    after = page.at(-1);
  }
  if (found.size > 1) {
    throw new UsageError(`${found.size} sessions of this user begin with ${shortId(prefix)}: say more of it`);
  }
  return [...found][0];
}
