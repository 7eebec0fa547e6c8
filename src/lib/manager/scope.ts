import { warn } from "../core/log.ts";
import type { Owner, UserStore } from "../core/store.ts";
import type { ResolvedOptions } from "./options.ts";

/**
 * A scope gives a manager's sessions and users names of their own in a table that others use as well, without a column: a session's id is the
 * hash of its token with the scope before it, and a user of the scope "admin" is stored as `%admin:` and the user's id.
 *
 * Why: docs/decisions/026-scopes.md
 */

/** The text that stands before a token where its session's id is made. No token has a dot. */
export function tokenPrefix(scope: string | undefined): string {
  return scope === undefined ? "" : `${scope}.`;
}

/** The name of a user, or of a tag, in the table. */
export function nameOf(userId: string, scope: string | undefined): string {
  return scope === undefined ? userId : `%${scope}:${userId}`;
}

/** Finds and ends sessions of a scope's users, by their ids in the application. */
export function scopedUsers(users: UserStore | undefined, scope: string | undefined): UserStore | undefined {
  if (users === undefined || scope === undefined) return users;
  const named = <O extends Owner>(owner: O): O => {
    const tags = owner.tags?.map((tag) => nameOf(tag, scope));
    return { ...owner, userId: nameOf(owner.userId, scope), ...(tags === undefined ? {} : { tags }) };
  };
  return {
    create: (id, data, expiry, owner) => users.create(id, data, expiry, named(owner)),
    renew: (id, newId, previous, data, expiry, owner, options) =>
      users.renew(id, newId, previous, data, expiry, named(owner), options),
    list: (userId, limit, after) => users.list(nameOf(userId, scope), limit, after),
    end: (userId, except, onEnded) => users.end(nameOf(userId, scope), except, onEnded),
    trim: (userId, most, onEnded) => users.trim(nameOf(userId, scope), most, onEnded),
    ...(users.listByTag === undefined
      ? {}
      : { listByTag: async (tag, limit) => users.listByTag?.(nameOf(tag, scope), limit) ?? [] }),
  };
}

const SHARED =
  "Two SessionManagers use one store with different cookies or transports, so that each takes the other's tokens: a customer's token works in the " +
  'administrators\' cookie. Give each a scope of its own, { scope: "admin" }, or both the same one if they are to share their sessions';

/** How the token travels in the first manager without a scope of each store. */
const carriers = new WeakMap<object, string>();

/** Warns, once for a store, when managers without a scope would take tokens of each other that came in another way. */
export function warnOfSharing(store: object, { scope, tokenHeader, cookie }: ResolvedOptions): void {
  if (scope !== undefined) return;
  const carrier = tokenHeader === undefined ? `cookie ${cookie.name}` : "header";
  const first = carriers.get(store) ?? carrier;
  carriers.set(store, first);
  if (first !== carrier) warn("PGSTORE_SHARED_TABLE", SHARED, store);
}
