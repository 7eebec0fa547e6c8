import { OptionReader, wrong } from "../core/options.ts";
import { assertTag, assertUserId } from "../core/user-id.ts";
import { SchemaError } from "../core/errors.ts";
import { codeOf, publish } from "../core/events.ts";
import { atMost } from "../core/time.ts";
import type { ConditionalStore, OperationOptions, OwnedPlace, OwnedWrite, Owner, UserStore } from "../core/store.ts";
import type { SessionState } from "../session/state.ts";
import type { StoredRow } from "../session/values.ts";
import { tagsIn, userIn } from "../session/reserved.ts";
import { Session } from "../session/session.ts";
import type { EndListeners } from "./hooks.ts";
import type { ResolvedOptions } from "./options.ts";

/** What is known of one of a user's sessions, without what it holds. */
export interface UserSession {
  /** For `destroyById`. The token's SHA-256; with `hashTokens: false` it is the token, and no page or log may have it. */
  id: string;
  /** When the user logged in, by the database's clock. */
  created: Date;
  /** When it was last written or touched: right to `touchAfter`; without `idleTimeout` a request that only reads is not noticed. */
  lastSeen: Date;
  expiry: Date;
  /** Of the login, where `recordIp` is on. */
  ip: string | undefined;
  /** Of the login, where `recordUserAgent` is on. */
  userAgent: string | undefined;
  /** It is the one that was passed as `current`. */
  current: boolean;
}

/** A session, or its id. */
type SessionRef = Session<never> | Pick<Session, "id"> | string;

/** What `listByUser` takes. */
export interface ListOptions {
  /** The session that the list is for, or its id: it is marked as the current one. */
  current?: SessionRef | undefined;
  /** How many at most, the newest first. Default 100; `Infinity`: all. */
  limit?: number | undefined;
  /** The last one of the page before. */
  after?: Pick<UserSession, "id" | "created"> | undefined;
}

/** What `destroyAll` takes. */
export interface DestroyAllOptions {
  /** Called after each page with how many sessions have ended so far. What it throws stops it. */
  onProgress?: ((progress: { ended: number }) => void) | undefined;
}

/** What `destroyById` takes. */
export interface DestroyByIdOptions {
  /** Ends the session only if it is this user's: for ids that a request brings. */
  userId?: string | undefined;
}

/** What `destroyByUser` takes. */
export interface DestroyByUserOptions {
  /** Sessions that go on, or their ids: the one in which the user changes a password, say. */
  except?: SessionRef | readonly SessionRef[] | undefined;
}

const PAGE = 1000;
/** Sessions of one tag that end at the same time, each by a statement of its own: others need connections as well. */
const ENDED_AT_ONCE = 10;
const DEFAULT_LIMIT = 100;
/** Milliseconds for which a login waits for the end of those that are too many. */
const MAX_TRIM_WAIT = 2000;

/** Sessions by their user, and the writes that begin one for a user. */
export class UserSessions {
  readonly #users: UserStore | undefined;
  readonly #plain: ConditionalStore;
  readonly #endListeners: EndListeners;
  /** 0: any number. */
  readonly #most: number;
  readonly #isStrict: boolean;

  /** @param plain - writes sessions without their user */
  constructor(
    users: UserStore | undefined,
    plain: ConditionalStore,
    endListeners: EndListeners,
    options: Pick<ResolvedOptions, "maxSessionsPerUser" | "isLimitDefault">,
  ) {
    this.#users = users;
    this.#plain = plain;
    this.#endListeners = endListeners;
    this.#most = options.maxSessionsPerUser;
    this.#isStrict = !options.isLimitDefault;
  }

  /** @throws TypeError when the store can't find sessions by tags */
  assertTags(operation: string): void {
    if (this.#users?.listByTag === undefined) throw new TypeError(`${operation}: this store keeps no tags`);
  }

  /** Creates the row of a session, for its user if it has one. */
  async create(id: string, row: StoredRow, state: SessionState): Promise<OwnedWrite> {
    const owner = ownerOf(state);
    const users = this.#users;
    if (owner === undefined || users === undefined) {
      return (await this.#plain.create(id, row.data, row.expiry)) ? "done" : "refused";
    }
    return this.#begun(users, owner, await users.create(id, row.data, row.expiry, this.#limited(owner)));
  }

  /** Moves a session to another id, for its user if it has one. */
  async renew(
    [id, newId]: readonly [string, string],
    previous: StoredRow,
    row: StoredRow,
    state: SessionState,
    options?: OperationOptions,
  ): Promise<OwnedWrite> {
    const owner = ownerOf(state);
    const users = this.#users;
    if (owner === undefined || users === undefined) {
      const done = await this.#plain.renew(id, newId, previous.data, row.data, row.expiry, options);
      return done ? "done" : "refused";
    }
    const goesOn = state.transition?.kind === "renew" && !state.transition.revive;
    const login = goesOn ? { ...owner, goesOn } : this.#limited(owner);
    const outcome = await users.renew(id, newId, previous.data, row.data, row.expiry, login, options);
    // Then there are no more than before.
    return goesOn ? outcome : this.#begun(users, owner, outcome);
  }

  /** A page of a user's sessions, or all of them. */
  async list(userId: string, options: ListOptions = {}): Promise<UserSession[]> {
    const users = this.#usersFor("listByUser", userId);
    const read = new OptionReader(options);
    const limit = read.whole("limit", DEFAULT_LIMIT, true);
    const [currentId] = idsOf("current", read.value("current", []));
    const after = placeOf(read);
    read.end();
    const found: UserSession[] = [];
    let place = after;
    for (;;) {
      const wanted = Math.min(PAGE, limit - found.length);
      const page = await users.list(userId, wanted, place);
      for (const { id, ...entry } of page) found.push({ id, ...entry, current: id === currentId });
      place = page.at(-1);
      if (page.length < wanted || found.length >= limit) return found;
    }
  }

  /** Ends a user's sessions. Resolves to how many. */
  async end(userId: string, options: DestroyByUserOptions = {}): Promise<number> {
    const users = this.#usersFor("destroyByUser", userId);
    const read = new OptionReader(options);
    const except = idsOf("except", read.value("except", []));
    read.end();
    return this.#telling(userId, (onEnded) => users.end(userId, except, onEnded));
  }

  /** Tells those who watch the sessions that end, as soon as it is known. Resolves to how many have ended. */
  async #telling(
    userId: string | undefined,
    end: (onEnded: (ids: string[]) => void) => Promise<string[]>,
  ): Promise<number> {
    let told = 0;
    const tell = (ids: readonly string[]): void => {
      told += ids.length;
      for (const id of ids) this.#endListeners.ended(id, "revoked", userId);
    };
    const ended = await end(tell);
    if (told === 0) tell(ended);
    return ended.length;
  }

  /** Ends the sessions that have a tag, by `end`. Resolves to how many. */
  async endByTag(tag: string, end: (id: string) => Promise<boolean>): Promise<number> {
    assertTag("tag", tag);
    this.assertTags("destroyByTag");
    let ended = 0;
    for (;;) {
      const page = (await this.#users?.listByTag?.(tag, PAGE)) ?? [];
      for (let first = 0; first < page.length; first += ENDED_AT_ONCE) {
        const outcomes = await Promise.all(page.slice(first, first + ENDED_AT_ONCE).map(({ id }) => end(id)));
        ended += outcomes.filter(Boolean).length;
      }
      // There may be more than a page, also sessions that have been renewed since it was read.
      if (page.length < PAGE) return ended;
    }
  }

  /**
   * Lets the login's own statement say whether the user has room under the default limit, which saves a second statement. It doesn't see
   * logins at the same moment, so a limit that the application has set is checked after each login.
   */
  #limited(owner: Owner): Owner {
    return this.#isStrict || this.#most === 0 ? owner : { ...owner, most: this.#most };
  }

  /** One more has begun for a user: the oldest of too many ends. Where the store fails at it, the login stands, and the next one does it. */
  async #begun(users: UserStore, { userId }: Owner, outcome: OwnedWrite): Promise<OwnedWrite> {
    if (outcome === "few") return "done";
    if (outcome !== "done" || this.#most === 0) return outcome;
    try {
      const trimming = this.#telling(userId, (onEnded) => users.trim(userId, this.#most, onEnded));
      // Where there are very many of them, the login does not wait for the last.
      trimming.catch(() => {});
      await atMost(trimming, MAX_TRIM_WAIT);
    } catch (error) {
      // On a table that can't be asked for users a limit that was asked for would never hold.
      if (error instanceof SchemaError) {
        if (this.#isStrict) throw error;
        return outcome;
      }
      publish("store-error", { operation: "trim", code: codeOf(error) });
    }
    return outcome;
  }

  #usersFor(operation: string, userId: unknown): UserStore {
    assertUserId(operation, userId);
    if (this.#users === undefined) throw new TypeError(`${operation}: this store keeps no sessions by user`);
    return this.#users;
  }
}

function ownerOf({ values, client }: SessionState): Owner | undefined {
  const userId = userIn(values.all);
  if (userId === undefined) return undefined;
  const tags = tagsIn(values.all);
  return { userId, ...client, ...(tags.length === 0 ? {} : { tags }) };
}

/** The place of the last session of a page, from which the next one goes on. */
function placeOf(read: OptionReader): OwnedPlace | undefined {
  const after = read.value("after") as Partial<UserSession> | null | undefined;
  if (after === undefined) return undefined;
  const { created, id } = after ?? {};
  if (!(created instanceof Date) || typeof id !== "string") throw read.wrong("after", "a session that was listed");
  return { created, id };
}

function idsOf(option: string, sessions: unknown): string[] {
  const list = Array.isArray(sessions) ? (sessions as readonly SessionRef[]) : [sessions as SessionRef];
  return list.flatMap((session) => {
    const id: unknown = typeof session === "string" ? session : session?.id;
    if (id === undefined && session instanceof Session) return [];
    if (typeof id !== "string") throw wrong(option, "sessions or their ids", id);
    if (id.includes("\0") || !id.isWellFormed()) throw new TypeError(`${option}: expected valid UTF-8 without NUL`);
    return id;
  });
}
