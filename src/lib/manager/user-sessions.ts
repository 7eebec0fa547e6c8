import { OptionReader, wrong } from "../core/options.ts";
import { assertTag, assertUserId } from "../core/user-id.ts";
import { SchemaError } from "../core/errors.ts";
import { codeOf, publish } from "../core/events.ts";
import { atMost } from "../core/time.ts";
import type { OperationOptions, OwnedEntry, OwnedPlace, Owner, UserStore, WriteOutcome } from "../core/store.ts";
import type { SessionState } from "../session/state.ts";
import { type StoredRow, tagsIn, userIn } from "../session/values.ts";
import { Session } from "../session/session.ts";
import { nameOf } from "./scope.ts";
import type { StoreAccess } from "./store-access.ts";

/** A user's session as `listByUser` lists it, without its values. */
export interface UserSession extends OwnedEntry {
  /** Whether this is the session that was passed as `current`. */
  current: boolean;
}

/** A session, or its id. */
type SessionRef = Session<never> | Pick<Session, "id"> | string;

/** Options of `listByUser`. */
export interface ListOptions {
  /** The session, or its id, to mark as the current one. */
  current?: SessionRef | undefined;
  /** The maximum number of sessions. Default 100; `Infinity`: all. */
  limit?: number | undefined;
  /** The last session of the previous page. */
  after?: Pick<UserSession, "id" | "created"> | undefined;
}

/** Options of `destroyAll`. */
export interface DestroyAllOptions {
  /** Called after each page with the number of sessions ended so far. An error that it throws stops `destroyAll`. */
  onProgress?: ((progress: { ended: number }) => void) | undefined;
}

/** Options of `destroyById`. */
export interface DestroyByIdOptions {
  /** Ends the session only if it is this user's. Pass it when the id comes from a request. */
  userId?: string | undefined;
}

/** Options of `destroyByUser`. */
export interface DestroyByUserOptions {
  /** Sessions to keep, or their ids, such as the one in which the user changes the password. */
  except?: SessionRef | readonly SessionRef[] | undefined;
}

const PAGE = 1000;
/** Sessions of a tag end in parallel, each by its own statement. A limit leaves connections for other requests. */
const ENDED_AT_ONCE = 10;
const DEFAULT_LIMIT = 100;
/** Milliseconds that a login waits for the end of sessions beyond `maxSessionsPerUser`. */
const MAX_TRIM_WAIT = 2000;

/** Lists and ends sessions by user, and writes rows with their user. */
export class UserSessions {
  readonly #access: StoreAccess;
  readonly #users: UserStore | undefined;
  readonly #scope: string | undefined;
  /**
   * The default limit, which the login's statement checks. The check saves a second statement, but does not see
   * concurrent logins, so a limit that the application has set is enforced after each login instead.
   */
  readonly #limit: Pick<Owner, "most">;

  /** Uses a store, and its users if it has them. @param scope - of the users' and tags' names in the table */
  constructor(access: StoreAccess, scope: string | undefined) {
    const { maxSessionsPerUser: most, isLimitDefault } = access.options;
    this.#access = access;
    this.#users = access.extras.users;
    this.#scope = scope;
    this.#limit = isLimitDefault && most > 0 ? { most } : {};
  }

  /** Checks that the store can find sessions by tag. @throws TypeError when it can't */
  assertTags(operation: string): void {
    if (this.#users?.listByTag === undefined) throw new TypeError(`${operation}: this store keeps no tags`);
  }

  /** Creates the row of a session, with its user if it has one. */
  async create(id: string, row: StoredRow, state: SessionState): Promise<WriteOutcome> {
    const owner = this.#ownerOf(row, state, this.#limit);
    const outcome = await this.#access.store.create(id, row.data, row.expiry, { owner });
    return this.#trimAfterLogin(row, outcome);
  }

  /** Moves a session to another id, with its user if it has one. */
  async renew(
    [id, newId]: readonly [string, string],
    previous: StoredRow,
    row: StoredRow,
    state: SessionState,
    options?: OperationOptions,
  ): Promise<WriteOutcome> {
    const goesOn = state.transition?.kind === "renew" && !state.transition.revive;
    const owner = this.#ownerOf(row, state, goesOn ? { goesOn } : this.#limit);
    const { store } = this.#access;
    const outcome = await store.renew(id, newId, previous.data, row.data, row.expiry, { owner, ...options });
    // A renewed session adds none.
    return goesOn ? outcome : this.#trimAfterLogin(row, outcome);
  }

  /** Lists a user's sessions, the newest login first. */
  async listByUser(userId: string, options: ListOptions = {}): Promise<UserSession[]> {
    const users = this.#usersFor("listByUser", userId);
    const read = new OptionReader(options);
    const limit = read.whole("limit", DEFAULT_LIMIT, true);
    const [currentId] = idsOf("current", read.value("current", []));
    let place = placeOf(read);
    read.end();
    const found: UserSession[] = [];
    for (;;) {
      const wanted = Math.min(PAGE, limit - found.length);
      const page = await users.list(this.#nameOf(userId), wanted, place);
      for (const { id, ...entry } of page) found.push({ id, ...entry, current: id === currentId });
      place = page.at(-1);
      if (page.length < wanted || found.length >= limit) return found;
    }
  }

  /** Ends a user's sessions. Returns their number. */
  async destroyByUser(userId: string, options: DestroyByUserOptions = {}): Promise<number> {
    const users = this.#usersFor("destroyByUser", userId);
    const read = new OptionReader(options);
    const except = idsOf("except", read.value("except", []));
    read.end();
    return this.#endAndTell(userId, (onEnded) => users.end(this.#nameOf(userId), except, onEnded));
  }

  /** Ends sessions and calls their listeners after each page. Returns the number of sessions. */
  async #endAndTell(
    userId: string | undefined,
    end: (onEnded: (ids: string[]) => void) => Promise<string[]>,
  ): Promise<number> {
    let told = 0;
    const tell = (ids: readonly string[]): void => {
      told += ids.length;
      for (const id of ids) this.#access.endListeners.ended(id, "revoked", userId);
    };
    const ended = await end(tell);
    if (told === 0) tell(ended);
    return ended.length;
  }

  /** Ends the session of an id. Returns whether one was ended. */
  async destroyById(id: string, options: DestroyByIdOptions = {}): Promise<boolean> {
    const read = new OptionReader(options);
    // An undefined user, such as an anonymous request's, must not mean every user.
    if ("userId" in options) assertUserId("destroyById", options.userId);
    const userId = read.text("userId", undefined);
    read.end();
    return this.#access.end(id, "revoked", userId === undefined ? undefined : this.#nameOf(userId));
  }

  /** Ends the sessions with a tag. Returns their number. */
  async destroyByTag(tag: string): Promise<number> {
    assertTag("tag", tag);
    this.assertTags("destroyByTag");
    let ended = 0;
    for (;;) {
      const page = (await this.#users?.listByTag?.(this.#nameOf(tag), PAGE)) ?? [];
      for (let first = 0; first < page.length; first += ENDED_AT_ONCE) {
        const ids = page.slice(first, first + ENDED_AT_ONCE).map(({ id }) => id);
        const outcomes = await Promise.all(ids.map((id) => this.#access.end(id, "revoked")));
        ended += outcomes.filter(Boolean).length;
      }
      // A full page may not be the last one. The next also has sessions that were renewed since this page was read.
      if (page.length < PAGE) return ended;
    }
  }

  /** Ends the oldest sessions of a user who has too many after a login. If this fails, the login stands and the next login tries again. */
  async #trimAfterLogin({ values }: StoredRow, outcome: WriteOutcome): Promise<WriteOutcome> {
    if (outcome === "few") return true;
    const { maxSessionsPerUser: most, isLimitDefault } = this.#access.options;
    const users = this.#users;
    const userId = userIn(values);
    if (outcome !== true || most === 0 || userId === undefined || users === undefined) return outcome;
    try {
      const trimming = this.#endAndTell(userId, (onEnded) => users.trim(this.#nameOf(userId), most, onEnded));
      // The login does not wait for the end of very many sessions.
      await atMost(trimming, MAX_TRIM_WAIT);
    } catch (error) {
      if (!(error instanceof SchemaError)) publish("store-error", { operation: "trim", code: codeOf(error) });
      // Without the columns for users the application's own limit could never be enforced.
      else if (!isLimitDefault) throw error;
    }
    return true;
  }

  /** Returns the user of a row by the name in the table. Undefined without a user or a store of users. */
  #ownerOf({ values }: StoredRow, { client }: SessionState, more: Pick<Owner, "goesOn" | "most">): Owner | undefined {
    const userId = userIn(values);
    if (userId === undefined || this.#users === undefined) return undefined;
    const tags = tagsIn(values).map((tag) => this.#nameOf(tag));
    return { userId: this.#nameOf(userId), ...client, ...(tags.length === 0 ? {} : { tags }), ...more };
  }

  #nameOf(userOrTag: string): string {
    return nameOf(userOrTag, this.#scope);
  }

  #usersFor(operation: string, userId: unknown): UserStore {
    assertUserId(operation, userId);
    if (this.#users === undefined) throw new TypeError(`${operation}: this store keeps no sessions by user`);
    return this.#users;
  }
}

/** Reads the option `after`: the place of the last session of the previous page. */
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
    if (typeof id !== "string") throw wrong(option, "sessions or their ids", session);
    if (id.includes("\0") || !id.isWellFormed()) throw new TypeError(`${option}: expected valid UTF-8 without NUL`);
    return id;
  });
}
