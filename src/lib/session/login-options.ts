import { type Duration, parseDuration } from "../core/duration.ts";
import { assertTag } from "../core/user-id.ts";
import type { Value } from "../core/value.ts";
import { IDLE_TIMEOUT, LIFETIME, LOGGED_IN_AT, type Login, REMEMBER_ME, TAGS, USER_ID } from "./reserved.ts";

/** Options of `session.login`. Durations are milliseconds or a text such as `"20m"`. */
export interface LoginOptions {
  /**
   * Whether the cookie outlives the browser, as of `rememberMe`; a duration is the session's lifetime as well. A remembered
   * session has no idle timeout but its own. Default: as it is.
   */
  remember?: boolean | Duration | undefined;
  /** The session's absolute lifetime. Default: `remember`, if that is a duration, or the manager's `lifetime`. */
  lifetime?: Duration | undefined;
  /** The session's allowed inactivity, 0: any. Default: the manager's `idleTimeout`, unless the session is remembered. */
  idleTimeout?: Duration | undefined;
  /**
   * What stays of the values that were set before the login: all of them (true, the default), none (false), or those of some
   * keys. When another user was logged in, nothing stays whatever this says.
   */
  keep?: boolean | readonly string[] | undefined;
  /** Names by which `manager.destroyByTag` ends the session: the identity provider's session id, say. */
  tags?: readonly string[] | undefined;
}

const NAMES = new Set(["remember", "lifetime", "idleTimeout", "keep", "tags"]);

/** Tags of one session. */
const MAX_TAGS = 100;

/**
 * Reads what a login takes.
 *
 * @param now - milliseconds since 1970
 * @throws TypeError that names the option
 */
export function readLogin(userId: string, options: LoginOptions, now: number): Login {
  if (typeof options !== "object" || options === null) throw new TypeError("login: the options must be an object");
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name)) throw new TypeError(`login: ${name}: there is no such option`);
  }
  const { remember, idleTimeout, keep = true } = options;
  const values = new Map<string, Value>([
    [USER_ID, userId],
    [LOGGED_IN_AT, Math.floor(now)],
  ]);
  if (remember !== undefined) values.set(REMEMBER_ME, remember !== false);
  const lifetime = options.lifetime ?? (typeof remember === "boolean" ? undefined : remember);
  if (lifetime !== undefined) {
    const name = lifetime === options.lifetime ? "login: lifetime" : "login: remember";
    const milliseconds = parseDuration(name, lifetime);
    if (milliseconds === 0) throw new TypeError(`${name}: expected more than 0`);
    values.set(LIFETIME, milliseconds);
  }
  if (idleTimeout !== undefined) values.set(IDLE_TIMEOUT, parseDuration("login: idleTimeout", idleTimeout));
  const tags = readTags(options.tags);
  if (tags.length > 0) values.set(TAGS, tags);
  return { values, keeps: readKeep(keep), lifetime: values.get(LIFETIME) as number | undefined };
}

function readKeep(keep: unknown): (key: string) => boolean {
  if (typeof keep === "boolean") return () => keep;
  if (!Array.isArray(keep) || !keep.every((key) => typeof key === "string")) {
    throw new TypeError("login: keep: expected a boolean or an array of keys");
  }
  const kept = new Set<string>(keep);
  return (key) => kept.has(key);
}

function readTags(tags: unknown = []): string[] {
  if (!Array.isArray(tags)) throw new TypeError("login: tags: expected an array of strings");
  const distinct = [...new Set(tags as unknown[])];
  if (distinct.length > MAX_TAGS) {
    throw new TypeError(`login: tags: expected at most ${MAX_TAGS} tags, got ${distinct.length}`);
  }
  return distinct.map((tag) => assertTag("login: tags", tag));
}
