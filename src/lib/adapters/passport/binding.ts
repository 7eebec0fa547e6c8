import { assertNewUserId } from "../../core/user-id.ts";
import { assertValue, equalValues, tryCloneValue, type Value } from "../../core/value.ts";
import type { SessionHost } from "../../session/host.ts";
import { loggedInAt, readLogin } from "../../session/login-options.ts";
import type { SessionState } from "../../session/state.ts";
import {
  type Change,
  isReserved,
  REMEMBER_ME,
  RESERVED,
  REVOKED,
  type StoredRow,
  userIn,
} from "../../session/values.ts";
import type { ResolvedPassport } from "./options.ts";

/*
 * Passport logs a user in by writing into the session, sometimes after a `regenerate` and before a `save`, which
 * depends on its version and options. So each commit compares the serialized user with the row's: a new one is a login,
 * a missing one is a log-out. Both move the session to a new token, in the statement that stores the change. A
 * `regenerate` only plans that statement.
 *
 * Why: docs/decisions/036-passport.md
 */

/** The changes that unbind the user of a session, and the further ones of a log-out. */
const BOUND = RESERVED.filter((key) => key !== REMEMBER_ME && key !== REVOKED).map((key) => deletion(key));
const LEFT = [deletion(REMEMBER_ME), deletion(REVOKED)];

/** Binds a user to the session when Passport logs them in, and unbinds them when it logs them out. */
export class PassportBinding {
  readonly #state: SessionState;
  readonly #host: SessionHost;
  readonly #options: ResolvedPassport;
  /** The changes of a regeneration, a login or a log-out that is not stored yet, and its planned renewal. */
  #made: readonly Change[] = [];
  #planned: SessionState["transition"];
  /** The session was regenerated since the last commit. */
  #isFresh = false;
  /** The value of Passport's key was assigned since the last commit, as older versions of Passport do for each login. */
  #isAssigned = false;
  /** The user before the regeneration. */
  #previous: string | undefined;
  /** The serialized users of rows, copied before the application can change them in place. */
  readonly #known = new WeakMap<StoredRow["values"], unknown>();

  /** Watches the commits of a session. */
  constructor(state: SessionState, host: SessionHost, options: ResolvedPassport) {
    this.#state = state;
    this.#host = host;
    this.#options = options;
    state.watchCommits({ prepare: (now) => this.#prepare(now), encoded: (values) => this.#note(values) });
    this.#userOfRow();
  }

  /**
   * Plans an empty session without a user, under a new token.
   *
   * @param keep - keys whose values stay
   * @throws AlreadyCommittedError when the session is already committed
   */
  regenerate(keep: readonly string[]): Promise<void> {
    const state = this.#state;
    return state.whenIdle("regenerate", async () => {
      this.#forgetStored();
      const { all } = state.values;
      const kept = keep.filter((key) => !isReserved(key) && all.has(key));
      this.#previous ??= userIn(all);
      this.#isFresh = true;
      const sets = kept.map((key): Change => ({ kind: "set", key, value: all.get(key) as Value }));
      this.#plan([{ kind: "clear", reserved: false }, ...BOUND, ...sets], { revive: true, isLogOut: true });
    });
  }

  /**
   * Stores the session now. Later changes are allowed, and need another commit.
   *
   * @throws StoreUnavailableError or StoreError when the store fails: the login or log-out then has no effect; AlreadyCommittedError when the
   *   session is already committed
   */
  save(): Promise<void> {
    return this.#state.whenIdle("save", async () => {
      try {
        await this.#host.flush(this.#state);
      } catch (error) {
        this.#undo();
        throw error;
      }
    });
  }

  /** Records that the value of Passport's key was assigned. */
  noteAssignment(): void {
    this.#isAssigned = true;
  }

  /** Returns the serialized user of the row. */
  #userOfRow(): unknown {
    const values = this.#state.row?.values;
    if (values === undefined) return undefined;
    if (!this.#known.has(values)) this.#note(values);
    return this.#known.get(values);
  }

  #note(values: StoredRow["values"]): void {
    const user = this.#options.userIn(values.get(this.#options.key));
    this.#known.set(values, user === undefined ? undefined : tryCloneValue(user as Value));
  }

  /**
   * Compares the user with the row's and plans the login or log-out.
   *
   * @param now - milliseconds since 1970, by the store's clock
   */
  #prepare(now: number): void {
    const state = this.#state;
    this.#forgetStored();
    // A login, reset or log-out by the session's own methods takes precedence. A renewal also carries Passport's
    // change.
    const { transition } = state;
    const isForeign = transition !== undefined && transition !== this.#planned;
    if (isForeign && (transition.kind === "destroy" || transition.revive)) return;
    state.values.collect();
    const { key, userIn: serializedIn } = this.#options;
    const before = this.#userOfRow();
    const user = serializedIn(state.values.all.get(key));
    const isAssigned = this.#isAssigned;
    this.#isAssigned = false;
    if (user !== undefined) {
      // The row's user may only have other members now, such as a new name. No version of Passport logs the same user
      // in by a change in place.
      const isSame = !this.#isFresh && before !== undefined && this.#isBound(user);
      const isChanged = !isSame && !equalValues(before, user);
      if (this.#isFresh || isAssigned || isChanged) this.#logIn(user, now, !isSame);
    } else if (before !== undefined && !this.#isFresh && userIn(state.values.all) !== undefined) {
      this.#logOut();
    }
  }

  /** Tells whether the session is already bound to a serialized user. */
  #isBound(user: unknown): boolean {
    const userId = userIn(this.#state.values.all);
    return userId !== undefined && this.#options.idOf(user) === userId;
  }

  /** @param revive - whether the login begins another session if this one has ended elsewhere */
  #logIn(user: unknown, now: number, revive: boolean): void {
    const { values } = this.#state;
    const { key, idOf } = this.#options;
    const written = values.changes.filter((change) => "key" in change && change.key === key);
    try {
      const value = storable(key, values.all.get(key));
      const userId = idOf(user);
      assertNewUserId("passport", userId);
      const isAnothers = this.#previous !== undefined && this.#previous !== userId;
      // Part of the login from now on: a login that fails leaves no trace of its user.
      values.withdraw(written, this.#state.row);
      const isolation: Change[] = isAnothers ? [{ kind: "clear", reserved: false }] : [];
      const login: Change[] = [{ kind: "login", login: readLogin(userId, {}) }, loggedInAt(now)];
      this.#plan([...isolation, ...login, { kind: "set", key, value }], { revive, isLogOut: false });
    } catch (error) {
      values.withdraw(written, this.#state.row);
      this.#undo();
      throw error;
    }
  }

  #logOut(): void {
    const { key } = this.#options;
    const rest = this.#state.values.all.get(key);
    const isEmpty = typeof rest === "object" && rest !== null && Object.keys(rest).length === 0;
    this.#plan([...BOUND, ...LEFT, ...(isEmpty ? [deletion(key)] : [])], { revive: true, isLogOut: true });
  }

  #plan(changes: readonly Change[], options: { revive: boolean; isLogOut: boolean }): void {
    const { transition } = this.#state;
    // The changes of the session's own renewal are undone with this one.
    const others = transition?.kind === "renew" && transition !== this.#planned ? transition.changes : [];
    const earlier = [...others, ...this.#made];
    this.#state.planRenewal(changes, { keepDeadline: false, ...options }, earlier);
    this.#made = [...this.#made, ...changes];
    this.#planned = this.#state.transition;
  }

  /** Undoes a login or log-out of a session without a row. For a stored session, the commit does that. */
  #undo(): void {
    const { values, row } = this.#state;
    if (values.changes.some((change) => this.#made.includes(change))) values.withdraw(this.#made, row);
    this.#forgetStored();
  }

  /** Forgets a plan that was stored or undone. */
  #forgetStored(): void {
    if (this.#state.values.changes.some((change) => this.#made.includes(change))) return;
    this.#made = [];
    this.#planned = undefined;
    this.#isFresh = false;
    this.#previous = undefined;
  }
}

function deletion(key: string): Change {
  return { kind: "delete", key };
}

/**
 * Converts a serialized user to a value that a session can hold. Passport's users are used to JSON stores, which drop
 * undefined members and turn the ids of an ORM into strings.
 *
 * @throws TypeError, naming the key, when it can't be written as JSON either
 */
export function storable(key: string, value: unknown): Value {
  try {
    assertValue(key, value);
    return value;
  } catch (error) {
    try {
      return JSON.parse(JSON.stringify(value)) as Value;
    } catch {
      throw error;
    }
  }
}
