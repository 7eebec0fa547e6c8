import { warn } from "../core/log.ts";
import type { ResolvedOptions } from "./options.ts";

/*
 * A scope separates a manager's sessions and users from those of other managers in the same table, without a column. The id of a session is
 * the hash of the scope and the token. A user of the scope "admin" is stored as `%admin:` followed by the user's id.
 *
 * Why: docs/decisions/026-scopes.md
 */

/** Returns the name of a user or a tag in the table. */
export function nameOf(userId: string, scope: string | undefined): string {
  return scope === undefined ? userId : `%${scope}:${userId}`;
}

const SHARED =
  "Two SessionManagers use one store with different cookies or transports, and each accepts the other's tokens: a customer's token works in the " +
  'administrators\' cookie. Give each its own scope, such as { scope: "admin" }, or give both the same scope to share their sessions';

/** The cookie or header of the first manager without a scope, by store. */
const carriers = new WeakMap<object, string>();

/** Warns once for a store when two managers without a scope accept each other's tokens from different cookies or headers. */
export function warnOfSharing(store: object, { scope, tokenHeader, cookie }: ResolvedOptions): void {
  if (scope !== undefined) return;
  const carrier = tokenHeader === undefined ? `cookie ${cookie.name}` : "header";
  const first = carriers.get(store) ?? carrier;
  carriers.set(store, first);
  if (first !== carrier) warn("PGSTORE_SHARED_TABLE", SHARED, store);
}
