import { type Duration, OptionReader } from "../core/options.ts";
import { assertTag } from "../core/user-id.ts";
import type { Value } from "../core/value.ts";
import { type Change, IDLE_TIMEOUT, LIFETIME, LOGGED_IN_AT, type Login, REMEMBER_ME, TAGS, USER_ID } from "./values.ts";

/** Options of `session.login`. Durations are milliseconds or a text such as `"20m"`. */
export interface LoginOptions {
  /**
   * Whether the cookie outlives the browser's session, as `rememberMe` sets it. A duration also sets the session's lifetime. A remembered
   * session ignores the manager's `idleTimeout`. Default: unchanged.
   */
  remember?: boolean | Duration | undefined;
  /** The session's absolute lifetime, regardless of activity. Default: `remember` if it is a duration, otherwise the manager's `lifetime`. */
  lifetime?: Duration | undefined;
  /** The session's allowed inactivity. 0 turns the timeout off. Default: the manager's `idleTimeout`, unless the session is remembered. */
  idleTimeout?: Duration | undefined;
  /**
   * The values kept from before the login: all (true, the default), none (false), or the listed keys. Another user's
   * values are never kept.
   */
  keep?: boolean | readonly string[] | undefined;
  /** Tags by which `manager.destroyByTag` ends the session, such as the identity provider's session id. At most 100. */
  tags?: readonly string[] | undefined;
}

/** Maximum number of tags of one session. */
const MAX_TAGS = 100;

/** Makes the change that records the time of a login. @param now - milliseconds since 1970 */
export function loggedInAt(now: number): Change {
  return { kind: "set", key: LOGGED_IN_AT, value: Math.floor(now) };
}

/** Checks the options of a login. @throws TypeError, naming the option, when one is wrong */
export function readLogin(userId: string, options: LoginOptions): Login {
  const read = new OptionReader(options, "login: ");
  const remember = read.value("remember");
  const values = new Map<string, Value>([[USER_ID, userId]]);
  if (remember !== undefined) values.set(REMEMBER_ME, remember !== false);
  const isLength = remember !== undefined && typeof remember !== "boolean";
  if (isLength) values.set(LIFETIME, read.duration("remember", 0, { isPositive: true }));
  if (read.value("lifetime") !== undefined) values.set(LIFETIME, read.duration("lifetime", 0, { isPositive: true }));
  if (read.value("idleTimeout") !== undefined) values.set(IDLE_TIMEOUT, read.duration("idleTimeout", 0));
  const tags = readTags(read);
  if (tags.length > 0) values.set(TAGS, tags);
  const keeps = readKeep(read);
  read.end();
  return { values, keeps };
}

function readKeep(read: OptionReader): (key: string) => boolean {
  const keep = read.value("keep", true);
  if (typeof keep === "boolean") return () => keep;
  if (!Array.isArray(keep) || !keep.every((key) => typeof key === "string")) {
    throw read.wrong("keep", "a boolean or an array of keys");
  }
  const kept = new Set<string>(keep);
  return (key) => kept.has(key);
}

function readTags(read: OptionReader): string[] {
  const tags = read.value("tags", []);
  if (!Array.isArray(tags)) throw read.wrong("tags", "an array of strings");
  const distinct = [...new Set(tags as unknown[])];
  if (distinct.length > MAX_TAGS) {
    throw new TypeError(`login: tags: expected at most ${MAX_TAGS} tags, got ${distinct.length}`);
  }
  return distinct.map((tag) => assertTag("login: tags", tag));
}
