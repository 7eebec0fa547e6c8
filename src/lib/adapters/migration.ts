import type { IncomingMessage } from "node:http";
import { OptionReader, wrong } from "../core/options.ts";
import { assertNewUserId } from "../core/user-id.ts";
import { isObject, type Value } from "../core/value.ts";
import { cookieValues } from "../http/cookie.ts";
import { continuedToken, type CookieSecret, verifySignedCookie } from "../http/signed-cookie.ts";
import type { ContinuedSession } from "../session/host.ts";
import { hostOf, stateOf } from "../session/session.ts";
import type { ResolvedPassport } from "./passport/options.ts";

/**
 * The methods needed of a store for express-session, such as connect-pg-simple, `ExpressSessionStore` or connect-redis.
 */
export interface OldStore {
  // oxlint-disable-next-line typescript/no-explicit-any -- each store has types of its own
  get(sid: string, callback: (error: any, session?: any) => void): unknown;
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  destroy(sid: string, callback?: (error?: any) => void): unknown;
}

/** The sessions of express-session or @fastify/session that pgstore continues. */
export interface ExpressSessionSource {
  /** The secret that signs the cookies, or several with the current one first. */
  secret: CookieSecret | readonly CookieSecret[];
  /** The store with the sessions. Each continued session is destroyed in it. The caller closes it. */
  store: OldStore;
  /** The cookie's name. Default `"connect.sid"`. @fastify/session calls it `"sessionId"`. */
  name?: string | undefined;
  /** The attribute Domain that the cookie was set with, for its removal. Default: none. */
  domain?: string | undefined;
  /** The attribute Path that the cookie was set with, for its removal. Default `"/"`. */
  path?: string | undefined;
  /**
   * Returns the id of a session's user, to whom the new session is bound. Any result but a number or a non-empty string
   * means that no user is logged in. Default: the user that Passport serialized, read by the adapter's option
   * `passport`, or its property `id`.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- applications augment the type of their sessions
  userOf?: ((session: any) => unknown) | undefined;
}

/** The option `migrateFrom` of adapters. */
export interface MigrationOptions {
  /** Sessions of express-session. */
  expressSession: ExpressSessionSource;
}

/**
 * Looks for another package's signed cookie. Returns undefined without one, otherwise a function that continues its
 * session in the request's.
 */
export type Migration = (request: IncomingMessage) => ((session: object) => Promise<void>) | undefined;

/** Maximum number of cookies of one name. With more, an attacker who plants cookies could choose which ones are checked. */
const MAX_COOKIES = 4;

/**
 * Checks the option `migrateFrom`.
 *
 * @param passport - the adapter's option `passport`, which finds the user of a session by default
 * @throws TypeError, naming the option, when it is wrong
 */
export function readMigration(given: unknown, passport: ResolvedPassport | undefined): Migration | undefined {
  if (given === undefined) return undefined;
  const outer = new OptionReader(given, "migrateFrom.");
  const read = new OptionReader(outer.value("expressSession"), "migrateFrom.expressSession.");
  outer.end();
  const secrets = readSecrets(read.value("secret"));
  const store = read.value("store") as OldStore | undefined;
  if (typeof store?.get !== "function" || typeof store.destroy !== "function") {
    throw read.wrong("store", "a store for express-session, with get and destroy");
  }
  const name = read.text("name", "connect.sid");
  const scope = { domain: read.text("domain", undefined), path: read.text("path", "/") };
  const userOf = read.callback<(session: unknown) => unknown>("userOf") ?? userByPassport(passport);
  read.end();
  const cookie = { name, ...scope, httpOnly: true, sameSite: false, partitioned: false } as const;
  return (request) => {
    const header = request.headers.cookie;
    if (header?.includes(`${name}=`) !== true) return undefined;
    const values = cookieValues(header, name, (value) => value !== "");
    if (values.length > MAX_COOKIES) return undefined;
    const signed = new Map<string, CookieSecret>();
    for (const value of values) {
      const verified = verifySignedCookie(value, secrets);
      if (verified !== undefined) signed.set(verified.value, verified.secret);
    }
    if (signed.size === 0) return undefined;
    return async (session) => {
      const state = stateOf(session);
      // A request with one of pgstore's tokens was migrated before.
      if (state.phase !== "new" || state.isAccessed) return;
      state.clearAlso(cookie);
      state.noteAccess();
      const one = await onlyOneOf(signed, store);
      if (one === undefined) return;
      const [sid, secret] = one;
      const isOver = await hostOf(session).continue(state, continuedToken(sid, secret), async () => {
        const old = await call<unknown>((callback) => store.get(sid, callback));
        return isObject(old) ? continued(old, userOf) : undefined;
      });
      // Done after the new session is stored, so a crash in between logs no user out. If the cookie comes again, the
      // session is destroyed again.
      if (isOver) await call((callback) => store.destroy(sid, callback));
    };
  };
}

/**
 * Chooses the session ID to continue. Of several cookies, one may be planted, so only a sole live session counts.
 *
 * @param signed - the secrets by id
 */
async function onlyOneOf(
  signed: ReadonlyMap<string, CookieSecret>,
  store: OldStore,
): Promise<[sid: string, secret: CookieSecret] | undefined> {
  const entries = [...signed];
  if (entries.length === 1) return entries[0];
  const found = await Promise.all(entries.map(([sid]) => call<unknown>((callback) => store.get(sid, callback))));
  const live = entries.filter((_entry, index) => isObject(found[index]));
  return live.length === 1 ? live[0] : undefined;
}

function readSecrets(given: unknown): CookieSecret[] {
  const secrets: unknown[] = Array.isArray(given) ? given : [given];
  const isSecret = (secret: unknown): boolean =>
    (typeof secret === "string" && secret !== "") || (secret instanceof Uint8Array && secret.length > 0);
  if (secrets.length > 0 && secrets.every(isSecret)) return secrets as CookieSecret[];
  // The value is not quoted, as part of it may be a secret.
  throw wrong("migrateFrom.expressSession.secret", "a non-empty string, bytes, or an array of these", typeof given);
}

function continued(
  { cookie, ...values }: Record<string, unknown>,
  userOf: (session: unknown) => unknown,
): ContinuedSession {
  const user = userOf({ cookie, ...values });
  const isUser = (typeof user === "string" && user !== "") || (typeof user === "number" && !Number.isNaN(user));
  const userId = isUser ? String(user) : undefined;
  if (userId !== undefined) assertNewUserId("migrateFrom", userId);
  const { originalMaxAge, expires } = isObject(cookie) ? cookie : {};
  return {
    // As JSON, because a store may return any objects.
    values: JSON.parse(JSON.stringify(values)) as Record<string, Value>,
    userId,
    isPersistent:
      typeof originalMaxAge === "number" || (typeof expires === "string" && expires !== "") || expires instanceof Date,
  };
}

function userByPassport(passport: ResolvedPassport | undefined): (session: unknown) => unknown {
  if (passport === undefined) return passportUserOf;
  return (session) => {
    const user = passport.userIn((session as Record<string, unknown>)[passport.key]);
    // Fails if the user has no id, because no revocation would find the new session.
    return user === undefined ? undefined : passport.idOf(user);
  };
}

function passportUserOf(session: unknown): unknown {
  const { passport } = session as { passport?: { user?: unknown } };
  const user = passport?.user;
  return isObject(user) ? user["id"] : user;
}

/**
 * Calls a store's method with a callback. If the method also returns a promise, its rejection counts unless the
 * callback came first.
 */
function call<T>(
  operation: (callback: (error: Error | null | undefined, result?: T) => void) => unknown,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const returned = operation((error, result) => (error ? reject(error) : resolve(result)));
    Promise.resolve(returned).catch(reject);
  });
}
