import type { Value } from "../core/value.ts";

/** Keys of ours among the values; SCS v2 writes the first too. Applications can't read or write them, and Go passes them on. */
export const REMEMBER_ME = "__rememberMe";
export const USER_ID = "__userId";
/** A form of this session is under way, so it must be there when that comes: for how many milliseconds, as long as it holds nothing else. */
export const CSRF = "__csrf";
/** The key of the revoked session in whose place this one has begun. */
export const REVOKED = "__revoked";
/** When the user last proved who they are, in milliseconds since 1970, by the store's clock. */
export const LOGGED_IN_AT = "__loggedInAt";
/** Milliseconds: the session's own lifetime and idle timeout (0: none), where they differ from the manager's. */
export const LIFETIME = "__lifetime";
export const IDLE_TIMEOUT = "__idleTimeout";
/** By which `destroyByTag` finds it: a list of strings. */
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

/** Says whether a key belongs to pgstore. */
export function isReserved(key: string): boolean {
  return key.startsWith("__") && RESERVED.includes(key);
}

/** What a login makes of a session. */
export interface Login {
  /** Ours, the user's id among them. */
  values: ReadonlyMap<string, Value>;
  /** Says which of the application's keys stay. None of them does when the session was another user's. */
  keeps: (key: string) => boolean;
  /** Milliseconds; undefined: the manager's. */
  lifetime: number | undefined;
}

/** How long a session lives, where it has times of its own. Milliseconds; undefined: as the manager's options say. */
export interface OwnTimes {
  lifetime: number | undefined;
  /** 0: none. */
  idleTimeout: number | undefined;
}

/** A session that is to be remembered outlives the manager's idle timeout; one of its own counts. */
export function ownTimesOf(values: ReadonlyMap<string, Value>): OwnTimes {
  const idleTimeout = numberIn(values, IDLE_TIMEOUT);
  return {
    lifetime: numberIn(values, LIFETIME),
    idleTimeout: idleTimeout ?? (values.get(REMEMBER_ME) === true ? 0 : undefined),
  };
}

/** What a row holds under a key of ours anybody who may write the table can have written. */
export function numberIn(values: ReadonlyMap<string, Value>, key: string): number | undefined {
  const value = values.get(key);
  return typeof value === "number" && value >= 0 ? value : undefined;
}

/** The user of a session. */
export function userIn(values: ReadonlyMap<string, Value>): string | undefined {
  const userId = values.get(USER_ID);
  return typeof userId === "string" ? userId : undefined;
}

/** The tags of a session. */
export function tagsIn(values: ReadonlyMap<string, Value>): string[] {
  const tags = values.get(TAGS);
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/** Milliseconds that a session lives while it holds nothing but an open form; undefined: it holds more. */
export function formLifetimeIn(values: ReadonlyMap<string, Value>): number | undefined {
  const lifetime = values.get(CSRF);
  if (typeof lifetime !== "number" || values.has(USER_ID)) return undefined;
  return [...values.keys()].every(isReserved) ? lifetime : undefined;
}
