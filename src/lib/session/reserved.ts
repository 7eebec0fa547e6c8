import type { Value } from "../core/value.ts";

/*
 * Keys among a session's values that pgstore reserves. Applications can't read or write them. SCS in Go keeps them, as it keeps any key.
 */

/** Whether the cookie is persistent. SCS v2 writes the same key. */
export const REMEMBER_ME = "__rememberMe";
export const USER_ID = "__userId";
/** Milliseconds that a session lives while it only backs an open form with a CSRF token. */
export const CSRF = "__csrf";
/** The id of the revoked session that this one has replaced. */
export const REVOKED = "__revoked";
/** The time of the last login or reauthentication, in milliseconds since 1970, by the store's clock. */
export const LOGGED_IN_AT = "__loggedInAt";
/** The session's own lifetime and idle timeout in milliseconds (idle timeout 0: none), which override the manager's. */
export const LIFETIME = "__lifetime";
export const IDLE_TIMEOUT = "__idleTimeout";
/** The tags by which `destroyByTag` finds the session: an array of strings. */
export const TAGS = "__tags";

export const RESERVED: readonly string[] = [
  REMEMBER_ME,
  USER_ID,
  CSRF,
  REVOKED,
  LOGGED_IN_AT,
  LIFETIME,
  IDLE_TIMEOUT,
  TAGS,
];

/** Tells whether pgstore reserves a key. */
export function isReserved(key: string): boolean {
  return key.startsWith("__") && RESERVED.includes(key);
}

/** The effect of a login on a session. */
export interface Login {
  /** Values of reserved keys, the user's id among them. */
  values: ReadonlyMap<string, Value>;
  /** Tells which of the application's keys stay. When the session was another user's, none stays. */
  keeps: (key: string) => boolean;
  /** Milliseconds. Undefined: the manager's. */
  lifetime: number | undefined;
}

/** The session's own times in milliseconds. Undefined: the manager's options apply. */
export interface OwnTimes {
  lifetime: number | undefined;
  /** 0: none. */
  idleTimeout: number | undefined;
}

/** Reads the session's own times. A remembered session has no idle timeout unless it has its own. */
export function ownTimesOf(values: ReadonlyMap<string, Value>): OwnTimes {
  const idleTimeout = numberIn(values, IDLE_TIMEOUT);
  return {
    lifetime: numberIn(values, LIFETIME),
    idleTimeout: idleTimeout ?? (values.get(REMEMBER_ME) === true ? 0 : undefined),
  };
}

/** Reads a non-negative number. Anyone with write access to the table can have stored another value there. */
export function numberIn(values: ReadonlyMap<string, Value>, key: string): number | undefined {
  const value = values.get(key);
  return typeof value === "number" && value >= 0 ? value : undefined;
}

/** Reads the id of the session's user. */
export function userIn(values: ReadonlyMap<string, Value>): string | undefined {
  const userId = values.get(USER_ID);
  return typeof userId === "string" ? userId : undefined;
}

/** Reads the session's tags. */
export function tagsIn(values: ReadonlyMap<string, Value>): string[] {
  const tags = values.get(TAGS);
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/** Returns the milliseconds that a session lives while it only backs an open form. Undefined: it holds more than that. */
export function formLifetimeIn(values: ReadonlyMap<string, Value>): number | undefined {
  const lifetime = values.get(CSRF);
  if (typeof lifetime !== "number" || values.has(USER_ID)) return undefined;
  return [...values.keys()].every(isReserved) ? lifetime : undefined;
}
