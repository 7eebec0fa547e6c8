import { LoginRefusedError, SessionConflictError } from "../core/errors.ts";
import { detailsOf, type LoginDetails } from "../core/login-details.ts";
import { CHANNELS, codeOf, type CommitEvent, publish } from "../core/events.ts";
import type { EndReason, OperationOptions } from "../core/store.ts";
import { pause } from "../core/time.ts";
import { createToken } from "../core/token.ts";
import { equalValues } from "../core/value.ts";
import { type CommitPlan, cookieLife, planCommit, planStateOf, type RowTimes } from "../session/plan.ts";
import { cleanClient } from "../session/request.ts";
import type { SessionState } from "../session/state.ts";
import { idleTimeoutIn, REVOKED, type StoredRow, userIn } from "../session/values.ts";
import { callHook } from "./hooks.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import type { StoreAccess } from "./store-access.ts";
import type { UserSessions } from "./user-sessions.ts";

/*
 * A commit is a compare-and-swap on the bytes of the row, repeated until it succeeds:
 *
 * 1. `plan.ts` decides on the write: create, replace, touch, renew, destroy or none.
 * 2. The store carries it out only if the row still has the bytes that were loaded.
 * 3. If the bytes differ, the row is read again, the request's changes are replayed on it, and the loop goes back to 1.
 *    After the third failed attempt and each later one, a short random pause comes first.
 * 4. If the row is gone, the changes are dropped. A login or `reset` begins a new session instead.
 *
 * Within a process the commits of one session first queue (`KeyedQueue`). Each begins with the row that the previous one has written, so
 * only other processes cause conflicts.
 *
 * A renewal whose answer is lost may have been carried out. The state keeps it as a doubt, and the next commit first looks the new row up.
 *
 * Why: docs/decisions/001-compare-and-swap-on-bytes.md, docs/decisions/010-tombstones.md
 */

/** Enough, as only other processes cause conflicts. */
const MAX_ATTEMPTS = 100;
/** The longest pause between two attempts, in milliseconds. */
const MAX_PAUSE_MS = 50;

/** The outcome of an attempt: the current row (none after an end), or the reason for another attempt. */
type Outcome = { row: StoredRow | undefined } | "conflict" | "gone" | "again";

/** Commits sessions to the store. */
export class Committer {
  readonly #access: StoreAccess;
  readonly #users: UserSessions;
  readonly #queue: KeyedQueue<StoredRow | undefined>;

  /** Writes to a store. */
  constructor(access: StoreAccess, users: UserSessions) {
    this.#access = access;
    this.#users = users;
    this.#queue = new KeyedQueue(access.extras.queryTimeout);
  }

  /** Calls the hook `onLogin` after a login was stored. */
  #announceLogin(state: SessionState, newId: string): void {
    const userId = userIn(state.values.all);
    if (this.#access.options.onLogin === undefined || userId === undefined) return;
    let client: Partial<LoginDetails> = {};
    try {
      client = cleanClient(state.facts);
    } catch (error) {
      // The login is already stored. Express's "trust proxy" function may throw, for example.
      console.error("pgstore: the client of a login is unknown:", error);
    }
    void callHook("onLogin", this.#access.options.onLogin, {
      userId,
      id: this.#access.publicId(newId),
      ...detailsOf(client),
    });
  }

  /** Tells, without asking the store, whether a flush has nothing to do. Call the state's `isUntouched` first. */
  isSettled(state: SessionState): boolean {
    if (state.pending !== undefined || state.doubt !== undefined || state.isContinuation) return false;
    if (state.phase === "stored" && state.hasChanged) return false;
    // Without a row the time does not decide whether there is anything to write.
    const now = state.phase === "stored" ? this.#access.knownNow() : 0;
    return now !== undefined && planCommit(planStateOf(state), this.#access.options, now).kind === "nothing";
  }

  /** Writes the state's changes to the store, after its earlier flushes. */
  flush(state: SessionState): Promise<void> {
    return CHANNELS.commit.hasSubscribers ? this.#watchedFlush(state) : this.#flush(state);
  }

  async #watchedFlush(state: SessionState): Promise<void> {
    const event: CommitEvent = { id: undefined, duration: 0, plan: undefined, outcome: "stored", attempts: 0 };
    const begun = performance.now();
    try {
      await this.#flush(state, event);
      // A destroy is meant to end the session. For any other commit an ended session is a lost one.
      if (state.isOver && event.plan !== "destroy") event.outcome = "gone";
    } catch (error) {
      event.outcome = "failed";
      event.code = codeOf(error);
      throw error;
    } finally {
      if (state.id !== undefined) event.id = this.#access.publicId(state.id);
      event.duration = performance.now() - begun;
      if (event.plan !== undefined || event.outcome === "failed") publish("commit", event);
    }
  }

  /** @param event - gets the plan and the number of attempts */
  #flush(state: SessionState, event?: CommitEvent): Promise<void> {
    return state.queue(async () => {
      if (state.watcher !== undefined) state.watcher.prepare(await this.#access.now());
      await this.#enter(state, event);
    });
  }

  /** Writes after the commits of other requests of the session. */
  #enter(state: SessionState, event: CommitEvent | undefined): Promise<unknown> {
    const { id } = state;
    if (id === undefined || state.phase !== "stored") return this.#write(state, event);
    return this.#queue.enter(
      id,
      (newest, signal) => this.#write(state, event, newest, signal),
      () => state.facts.whenGone,
    );
  }

  /**
   * Repeats attempts until one succeeds.
   *
   * @param newest - the row that the previous commit in the queue has written, to begin from
   * @param signal - the remaining time of a commit that has waited
   * @returns the row for the next commit in the queue
   */
  async #write(
    state: SessionState,
    event: CommitEvent | undefined,
    newest?: StoredRow,
    signal?: AbortSignal,
  ): Promise<StoredRow | undefined> {
    const { id } = state;
    const options = signal && { signal };
    // The row is decoded again, as requests never share an object.
    if (newest !== undefined && state.row?.data !== newest.data) state.rebase(this.#access.decode(id ?? "", newest));
    if (state.doubt !== undefined) await this.#resolveDoubt(state);
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      state.values.collect();
      let now = this.#access.now();
      if (typeof now !== "number") now = await now;
      const plan = planCommit(planStateOf(state), this.#access.options, now);
      if (event !== undefined) {
        event.plan = plan.kind === "nothing" ? undefined : plan.kind;
        event.attempts = attempt;
      }
      const outcome = await this.#perform(plan, state, now, options);
      // A login that finds the session ended begins another one, whose row is of no use to the next commit in the queue.
      if (typeof outcome === "object") return state.id === id ? outcome.row : undefined;
      if (outcome === "again") continue;
      const found =
        outcome === "gone" || state.id === undefined ? undefined : await this.#access.reader.lookUp(state.id, options);
      if (typeof found !== "object") {
        if (await this.#wasRenewed(state)) continue;
        const { id, transition } = state;
        if (id !== undefined && transition?.kind === "renew" && transition.isLogOut === true) {
          await this.#access.end(id, "destroyed");
        }
        if (!this.#dropOrRestart(state, found)) return undefined;
        continue;
      }
      publish("conflict", { id: this.#access.publicId(state.id), attempt });
      state.rebase(this.#access.decode(state.id ?? "", found));
      if (attempt > 2) await pause(Math.random() * Math.min(2 ** attempt, MAX_PAUSE_MS));
    }
    throw new SessionConflictError(this.#access.publicId(state.id), MAX_ATTEMPTS);
  }

  #perform(plan: CommitPlan, state: SessionState, now: number, options?: OperationOptions): Outcome | Promise<Outcome> {
    switch (plan.kind) {
      case "nothing":
        if (state.transition?.kind === "destroy") return this.#forget(state);
        return state.isContinuation ? this.#confirm(state, options) : { row: state.row };
      case "touch":
      case "replace":
        return this.#update(plan, state, now, options);
      case "create":
        return this.#create(plan, state, now);
      case "renew":
        return this.#renew(plan, state, now, options);
      case "drop":
        return "gone";
      case "destroy":
        return this.#destroy(state);
    }
  }

  /** Looks whether a continued session is still live. Its cookie would replace that of a login or renewal beside this request. */
  async #confirm({ id = "", row }: SessionState, options?: OperationOptions): Promise<Outcome> {
    return typeof (await this.#access.reader.lookUp(id, options)) === "object" ? { row } : "gone";
  }

  /** Ends a session without a row. */
  async #forget(state: SessionState): Promise<Outcome> {
    const { row } = state;
    // Not in the turn that called `destroy()`: changes made later in that turn must throw.
    await Promise.resolve();
    state.end("nothing");
    return { row };
  }

  async #create(times: RowTimes, state: SessionState, now: number): Promise<Outcome> {
    const { predecessor, isDeliberate } = state;
    const isRevoked = predecessor?.why === "revoked";
    if (isRevoked && !isDeliberate) {
      // The holder may have logged in since, and must stay logged in.
      const why = await this.#access.reader.lookUp(predecessor.id);
      if (why !== undefined && why !== "revoked") return "gone";
      state.values.mark(REVOKED, predecessor.id);
    }
    const newId = this.#access.idOf(state.ensureToken());
    const next = this.#access.encode(state, times, newId);
    const count = state.values.changes.length;
    // Before the new session begins: with a live rival the next request would again have two live tokens.
    await this.#endRivals(state);
    const outcome = await this.#users.create(newId, next, state);
    if (outcome === "revoked") {
      // A later commit of this state must not log the user in after all.
      state.end("nothing");
      throw new LoginRefusedError();
    }
    if (outcome === false) state.changeToken(createToken());
    if (outcome !== true) return "again";
    state.settle(next, newId, state.token, count);
    this.#tellToken(state, undefined, next, now);
    this.#announceLogin(state, newId);
    if (isRevoked && isDeliberate) await this.#access.supersede(predecessor.id, newId);
    return { row: next };
  }

  /** Overwrites the row, or moves only its expiry. */
  async #update(
    plan: Extract<CommitPlan, { expiry: number }>,
    state: SessionState,
    now: number,
    options?: OperationOptions,
  ): Promise<Outcome> {
    const { id = "", row } = state;
    if (row === undefined) return "gone";
    const { store } = this.#access;
    const isTouch = plan.kind === "touch";
    const next = isTouch ? { ...row, expiry: new Date(plan.expiry) } : this.#access.encode(state, plan, id);
    const count = state.values.changes.length;
    const isWritten = isTouch
      ? // Only on the same bytes, because they hold the deadline that bounds the expiry.
        await store.touch(id, next.expiry, { unchanged: row.data, ...options })
      : await store.replace(id, row.data, next.data, next.expiry, options);
    if (!isWritten) return "conflict";
    state.settle(next, id, state.token, count);
    this.#tellToken(state, row, next, now);
    return { row: next };
  }

  async #renew(times: RowTimes, state: SessionState, now: number, options?: OperationOptions): Promise<Outcome> {
    const { id = "", row, transition: renewal, doubt } = state;
    if (row === undefined || renewal?.kind !== "renew") return "gone";
    const newId = this.#access.idOf(renewal.token);
    const revoked = renewal.revive ? state.values.unmark(REVOKED) : undefined;
    const next = this.#access.encode(state, times, newId);
    const count = state.values.changes.length;
    // If the answer is lost, only the table can tell whether the renewal was carried out.
    state.suspect({ token: renewal.token, id: newId, data: next.data });
    const outcome = await this.#users.renew([id, newId], row, next, state, options);
    state.suspect(outcome === true ? undefined : doubt);
    // A renewal that is no login depends on its old row alone, which may have ended with the user's other sessions.
    if (outcome === "revoked" && renewal.revive) throw new LoginRefusedError();
    if (outcome !== true) return "conflict";
    state.settle(next, newId, renewal.token, count);
    this.#tellToken(state, undefined, next, now);
    const [before, after] = [userIn(row.values), userIn(next.values)];
    if (before !== undefined && before !== after) this.#access.endListeners.ended(id, "replaced", before);
    else this.#access.endListeners.tell(id);
    if (renewal.revive) this.#announceLogin(state, newId);
    if (typeof revoked === "string") await this.#access.supersede(revoked, newId);
    return { row: undefined };
  }

  async #destroy(state: SessionState): Promise<Outcome> {
    // When the session was gone already, clearing the cookie could remove the newer cookie of its renewal.
    const isContested = state.rivals.length > 0;
    await this.#endRivals(state);
    const ids = new Set<string>();
    // Each may have a live successor of another request.
    for (let each = state.predecessor; each !== undefined; each = each.earlier) ids.add(each.id);
    if (state.id !== undefined) ids.add(state.id);
    let ended = isContested;
    for (const each of ids) if (await this.#access.end(each, "destroyed")) ended = true;
    if (await this.#wasRenewed(state)) return "again";
    state.end(ended ? "clear" : "nothing");
    return { row: undefined };
  }

  /** Ends the sessions that the request presented together. */
  async #endRivals(state: SessionState): Promise<void> {
    await Promise.all(state.rivals.map((id) => this.#access.end(id, "destroyed")));
    state.forgetRivals();
  }

  /** Checks whether a failed renewal was carried out, before the next write builds on the old row. */
  async #resolveDoubt(state: SessionState): Promise<void> {
    try {
      await this.#wasRenewed(state);
    } catch (error) {
      // Without a change to store the response is correct, and the renewal's failure was reported before.
      if (state.hasChanged || state.transition !== undefined) throw error;
    }
  }

  /** Tells whether a renewal that was reported as failed was carried out. If so, the state continues from its row. */
  async #wasRenewed(state: SessionState): Promise<boolean> {
    const { doubt } = state;
    if (doubt === undefined || state.phase !== "stored") return false;
    const found = await this.#access.reader.lookUp(doubt.id);
    if (typeof found !== "object" || !equalValues(found.data, doubt.data)) return false;
    state.adopt(doubt);
    return true;
  }

  /**
   * Drops the changes of a session that has ended elsewhere.
   *
   * @param why - the reason of the end, if the store knows it
   * @returns true when the request begins a new session instead
   */
  #dropOrRestart(state: SessionState, why: EndReason | undefined): boolean {
    const id = state.id ?? state.predecessor?.id;
    if (id !== undefined) publish("gone", { id: this.#access.publicId(id) });
    if (state.transition?.kind === "renew" && state.transition.revive) {
      state.restart(state.transition.token, why ?? "replaced");
      return true;
    }
    state.end("nothing");
    return false;
  }

  /** Records the change of the client's cookie: a new token, or a new expiry of a persistent cookie. */
  #tellToken(state: SessionState, before: StoredRow | undefined, after: StoredRow, now: number): void {
    const { options } = this.#access;
    const life = cookieLife(after, options, now);
    const isMoved = before === undefined || life?.expiry !== cookieLife(before, options, now)?.expiry;
    if (state.token !== undefined && (isMoved || state.cookieUpdate.kind === "set")) state.tellToken(state.token, life);
  }

  /** Tells the client the expiry of its persistent cookie again, if an idle timeout moves it. */
  async refreshCookie(state: SessionState): Promise<void> {
    const { row, token } = state;
    const idleTimeout = idleTimeoutIn(state.values.all) ?? this.#access.options.idleTimeout;
    if (row === undefined || token === undefined || state.cookieUpdate.kind !== "nothing" || idleTimeout === 0) return;
    const life = cookieLife(row, this.#access.options, await this.#access.now());
    if (life !== undefined) state.tellToken(token, life);
  }
}
