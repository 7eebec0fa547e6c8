import { LoginRefusedError, SessionConflictError } from "../core/errors.ts";
import { codeOf, type CommitEvent, isWatched, publish } from "../core/events.ts";
import type { EndReason, OperationOptions } from "../core/store.ts";
import { monotonicNow, pause } from "../core/time.ts";
import { createToken } from "../core/token.ts";
import { equalValues, type Value } from "../core/value.ts";
import { type CommitPlan, isUntouched, planCommit, planStateOf } from "../session/plan.ts";
import { REMEMBER_ME, REVOKED, userIn } from "../session/reserved.ts";
import type { SessionState } from "../session/state.ts";
import type { StoredRow } from "../session/values.ts";
import { callHook } from "./hooks.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import type { ResolvedOptions } from "./options.ts";
import { cleanClient } from "./request.ts";
import type { RowCodec } from "./row-codec.ts";
import type { StoreAccess } from "./store-access.ts";
import type { UserSessions } from "./user-sessions.ts";

/** Plenty: commits of one session queue within a process, so only processes race. */
const MAX_ATTEMPTS = 100;
/** Milliseconds: the longest pause between two attempts. */
const MAX_PAUSE_MS = 50;

/** How an attempt went: the row that is there now (none after the end), or what to do before the next one. */
type Outcome = { row: StoredRow | undefined } | "conflict" | "gone" | "again";

/** Carries out what the plan says, and again when another request was faster: the only place that writes sessions. */
export class Committer {
  readonly #access: StoreAccess;
  readonly #rows: RowCodec;
  readonly #users: UserSessions;
  readonly #options: ResolvedOptions;
  readonly #queue: KeyedQueue<StoredRow | undefined>;

  constructor(access: StoreAccess, rows: RowCodec, users: UserSessions, options: ResolvedOptions, timeout?: number) {
    this.#access = access;
    this.#rows = rows;
    this.#users = users;
    this.#options = options;
    this.#queue = new KeyedQueue(timeout);
  }

  /** Tells the hook of a login that was stored. */
  #welcome(state: SessionState, newId: string): void {
    const userId = userIn(state.values.all);
    if (this.#options.onLogin === undefined || userId === undefined) return;
    const client = cleanClient(state.facts);
    callHook("onLogin", this.#options.onLogin, { userId, id: this.#rows.publicId(newId), ...client });
  }

  /** Says, without asking the store, that a flush would have nothing to do. */
  isSettled(state: SessionState): boolean {
    if (state.pending !== undefined || state.doubt !== undefined) return false;
    state.values.collect();
    if (isUntouched(state, this.#options)) return true;
    const now = this.#access.now();
    if (typeof now === "number") return planCommit(planStateOf(state), this.#options, now).kind === "nothing";
    // The store must be asked for its time: the flush will, and will report when it fails.
    now.catch(() => {});
    return false;
  }

  /** Brings the store up to date with the state, after the flushes of it that were begun before. */
  flush(state: SessionState): Promise<void> {
    if (!isWatched("commit")) return this.#flush(state);
    return watchCommit(
      state,
      (watch) => this.#flush(state, watch),
      (id) => this.#rows.publicId(id),
    );
  }

  #flush(state: SessionState, watch?: CommitWatch): Promise<void> {
    return state.queue(() => this.#flushInTurn(state, watch));
  }

  async #flushInTurn(state: SessionState, watch: CommitWatch | undefined): Promise<void> {
    const { id } = state;
    if (id === undefined || state.phase !== "stored") {
      await this.#write(state, watch);
      return;
    }
    const write = async (newest: StoredRow | undefined, signal?: AbortSignal): Promise<StoredRow | undefined> => {
      // The one before in the queue has just written: begin from that, instead of finding out by a conflict. From its
      // bytes, not its values: two requests never share an object.
      if (newest !== undefined && state.id === id && state.row?.data !== newest.data) {
        state.rebase(this.#rows.decode(id, newest));
      }
      const row = await this.#write(state, watch, signal && { signal });
      // A login that finds the session ended begins another: its row is nothing for those who wait for this one.
      return state.id === id ? row : undefined;
    };
    await this.#queue.enter(id, write, () => state.facts.whenGone);
  }

  /** @param options - of a commit that has waited: what is left of its time */
  async #write(
    state: SessionState,
    watch: CommitWatch | undefined,
    options?: OperationOptions,
  ): Promise<StoredRow | undefined> {
    if (state.doubt !== undefined) await this.#resolveDoubt(state);
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      state.values.collect();
      let now = this.#access.now();
      if (typeof now !== "number") now = await now;
      const plan = planCommit(planStateOf(state), this.#options, now);
      if (watch !== undefined) Object.assign(watch, { plan: plan.kind, attempts: attempt });
      const outcome = await this.#perform(plan, state, now, options);
      if (typeof outcome === "object") return outcome.row;
      if (outcome === "again") continue;
      const found =
        outcome === "gone" || state.id === undefined ? undefined : await this.#access.lookUp(state.id, options);
      if (typeof found !== "object") {
        if (await this.#wasRenewed(state)) continue;
        if (!this.#bury(state, found)) return undefined;
        continue;
      }
      publish("conflict", { id: this.#rows.publicId(state.id), attempt });
      state.rebase(this.#rows.decode(state.id ?? "", found));
      if (attempt > 2) await pause(Math.random() * Math.min(2 ** attempt, MAX_PAUSE_MS));
    }
    throw new SessionConflictError(this.#rows.publicId(state.id), MAX_ATTEMPTS);
  }

  async #perform(plan: CommitPlan, state: SessionState, now: number, options?: OperationOptions): Promise<Outcome> {
    const { id = "", row } = state;
    switch (plan.kind) {
      case "nothing":
        if (state.transition?.kind === "destroy") state.end("nothing");
        return { row };
      case "touch": {
        if (row === undefined) return "gone";
        // Only while the deadline is the one that the expiry was bounded by, and that is in the data.
        if (!(await this.#access.store.touch(id, new Date(plan.expiry), { unchanged: row.data, ...options })))
          return "conflict";
        const touched = { ...row, expiry: new Date(plan.expiry) };
        state.touch(touched);
        this.#tellToken(state, row, touched, now);
        return { row: touched };
      }
      case "create": {
        const { predecessor, isDeliberate } = state;
        const isRevoked = predecessor?.why === "revoked";
        if (isRevoked && !isDeliberate) {
          // Its holder may have logged in meanwhile, and must stay so.
          const why = await this.#access.lookUp(predecessor.id);
          if (why !== undefined && why !== "revoked") return "gone";
          state.values.mark(REVOKED, predecessor.id);
        }
        const newId = this.#rows.idOf(state.ensureToken());
        const next = this.#rows.encode(state, plan, newId);
        const count = state.values.changes.length;
        // Before it begins: were one of them alive beside it, nobody could tell next time which one counts.
        await this.#endRivals(state);
        const outcome = await this.#users.create(newId, next, state);
        if (outcome === "revoked") {
          // A commit that is tried again must not log in after all.
          state.end("nothing");
          throw new LoginRefusedError();
        }
        if (outcome === "refused") state.changeToken(createToken());
        if (outcome !== "done") return "again";
        state.settle(next, newId, state.token, count);
        this.#tellToken(state, undefined, next, now);
        this.#welcome(state, newId);
        if (isRevoked && isDeliberate) await this.#access.supersede(predecessor.id, newId);
        return { row: next };
      }
      case "replace": {
        const next = this.#rows.encode(state, plan, id);
        const count = state.values.changes.length;
        if (row === undefined) return "conflict";
        if (!(await this.#access.store.replace(id, row.data, next.data, next.expiry, options))) return "conflict";
        state.settle(next, id, state.token, count);
        this.#tellToken(state, row, next, now);
        return { row: next };
      }
      case "renew": {
        const { transition: renewal } = state;
        if (row === undefined || renewal?.kind !== "renew") return "gone";
        const newId = this.#rows.idOf(renewal.token);
        const revoked = renewal.revive ? state.values.unmark(REVOKED) : undefined;
        const next = this.#rows.encode(state, plan, newId);
        const count = state.values.changes.length;
        // Whatever the store reports, only the table can tell whether it was carried out.
        const { doubt } = state;
        state.suspect({ token: renewal.token, id: newId, data: next.data });
        const outcome = await this.#users.renew([id, newId], row, next, state, options);
        state.suspect(outcome === "done" ? undefined : doubt);
        // Without a login the row decides that had to be there: it is there, or has been ended with the others.
        if (outcome === "revoked" && renewal.revive) throw new LoginRefusedError();
        if (outcome !== "done") return "conflict";
        state.settle(next, newId, renewal.token, count);
        this.#tellToken(state, undefined, next, now);
        const [before, after] = [userIn(row.values), userIn(next.values)];
        if (before !== undefined && before !== after) this.#access.endListeners.ended(id, "replaced", before);
        else this.#access.endListeners.tell(id);
        if (renewal.revive) this.#welcome(state, newId);
        if (typeof revoked === "string") await this.#access.supersede(revoked, newId);
        return { row: undefined };
      }
      case "drop":
        return "gone";
      case "destroy": {
        // When it was gone already, a clearing cookie could wipe out the cookie of whoever renewed it.
        const isContested = state.rivals.length > 0;
        await this.#endRivals(state);
        const ids = new Set([state.predecessor?.id, state.id]);
        let ended = isContested;
        for (const each of ids) if (each !== undefined && (await this.#access.end(each, "destroyed"))) ended = true;
        if (await this.#wasRenewed(state)) return "again";
        state.end(ended ? "clear" : "nothing");
        return { row: undefined };
      }
    }
  }

  /** Ends the sessions that the request presented beside one another. */
  async #endRivals(state: SessionState): Promise<void> {
    await Promise.all(state.rivals.map((id) => this.#access.end(id, "destroyed")));
    state.takeRivals();
  }

  /** A renewal has failed before: looks whether it was carried out, before anything is built on the row from before. */
  async #resolveDoubt(state: SessionState): Promise<void> {
    try {
      await this.#wasRenewed(state);
    } catch (error) {
      // Where nothing is to be stored, the application's answer is right, and it has been told of the failure.
      if (state.hasChanged || state.transition !== undefined) throw error;
    }
  }

  /** Says whether a renewal that was reported as failed has put the session under its new token. It goes on from there then. */
  async #wasRenewed(state: SessionState): Promise<boolean> {
    const { doubt } = state;
    if (doubt === undefined || state.phase !== "stored") return false;
    const found = await this.#access.lookUp(doubt.id);
    if (typeof found !== "object" || !equalValues(found.data, doubt.data)) return false;
    state.adopt(doubt);
    return true;
  }

  /**
   * The session was ended elsewhere: drops what was to be written. Returns true when the request begins a new one instead.
   *
   * @param why - as far as it is known
   */
  #bury(state: SessionState, why: EndReason | undefined): boolean {
    const id = state.id ?? state.predecessor?.id;
    if (id !== undefined) publish("gone", { id: this.#rows.publicId(id) });
    if (state.transition?.kind === "renew" && state.transition.revive) {
      state.restart(state.transition.token, why ?? "replaced");
      return true;
    }
    state.end("nothing");
    return false;
  }

  /** Notes what the client must be told: of a new token, or of another life of a persistent cookie. */
  #tellToken(state: SessionState, before: StoredRow | undefined, after: StoredRow, now: number): void {
    const persistent = this.#isPersistent(after.values);
    const moved =
      before === undefined ||
      persistent !== this.#isPersistent(before.values) ||
      (persistent && before.expiry.getTime() !== after.expiry.getTime());
    if (state.token === undefined || !(moved || state.cookieUpdate.kind === "set")) return;
    state.tellToken(state.token, persistent ? { now, expiry: after.expiry.getTime() } : undefined);
  }

  #isPersistent(values: ReadonlyMap<string, Value>): boolean {
    return (values.get(REMEMBER_ME) ?? this.#options.persist) === true;
  }
}

/** What is noted of a commit while it is under way. */
interface CommitWatch {
  plan: CommitPlan["kind"];
  attempts: number;
}

/**
 * Carries out a commit, and tells the observers what it came to, unless there was nothing to do.
 *
 * @param commit - notes each attempt
 * @param publicId - what events may call a session
 */
async function watchCommit(
  state: SessionState,
  commit: (watch: CommitWatch) => Promise<void>,
  publicId: (id: string) => string,
): Promise<void> {
  const watch: CommitWatch = { plan: "nothing", attempts: 0 };
  const begun = monotonicNow();
  const tell = (outcome: CommitEvent["outcome"], code?: string): void => {
    const { attempts } = watch;
    const id = state.id === undefined ? undefined : publicId(state.id);
    const plan = watch.plan === "nothing" ? undefined : watch.plan;
    const duration = monotonicNow() - begun;
    publish("commit", { id, duration, plan, outcome, attempts, ...(code === undefined ? {} : { code }) });
  };
  try {
    await commit(watch);
  } catch (error) {
    tell("failed", codeOf(error));
    throw error;
  }
  if (watch.plan === "nothing") return;
  // Whoever destroys a session wants it ended; all others want it to go on.
  tell(state.isOver && watch.plan !== "destroy" ? "gone" : "stored");
}
