import { pause, systemNow } from "../core/time.ts";
import { LoginRefusedError, SessionConflictError } from "../core/errors.ts";
import { codeOf, isWatched, publish } from "../core/events.ts";
import { createToken } from "../core/token.ts";
import { equalValues, type Value } from "../core/value.ts";
import type { ConditionalStore, EndReason, Found, OperationOptions, Store, StoreExtras } from "../core/store.ts";
import type { SessionRecord, StoredRow } from "../session/state.ts";
import { REMEMBER_ME, REVOKED, USER_ID } from "../session/reserved.ts";
import { type CommitWatch, watchCommit } from "./commit-watch.ts";
import { cleanClient } from "./request.ts";
import { callHook, Endings } from "./hooks.ts";
import { Lanes } from "./keyed-queue.ts";
import { isConditional, LastWriteWins } from "./complete-store.ts";
import type { ResolvedOptions } from "./options.ts";
import { type CommitPlan, planCommit, planStateOf } from "../session/plan.ts";
import type { Rows } from "./row-codec.ts";
import { nameOf, scopedUsers } from "./scope.ts";
import { Users } from "./user-sessions.ts";

/** Plenty: commits of one session queue within a process, so only processes race. */
const MOST_ATTEMPTS = 100;
/** Milliseconds: the longest pause between two attempts. */
const LONGEST_PAUSE = 50;

/** How an attempt went: the row that is there now (none after the end), or what to do before the next one. */
type Outcome = { row: StoredRow | undefined } | "conflict" | "gone" | "again";

/** Carries out what the plan says, and again when another request was faster: the only place that writes sessions. */
export class Committer {
  readonly #store: ConditionalStore;
  readonly #extras: StoreExtras;
  /** Milliseconds since 1970, in the store's time. */
  readonly now: () => number | Promise<number>;
  readonly #rows: Rows;
  readonly #options: ResolvedOptions;
  readonly #lanes: Lanes<StoredRow | undefined>;
  /** Of the sessions that end by a commit of this process. */
  readonly endings: Endings;
  readonly users: Users;
  /** By their names in the table, of whichever scope. */
  readonly tableUsers: Users;

  constructor(store: Store & StoreExtras, rows: Rows, options: ResolvedOptions) {
    this.#store = isConditional(store) ? store : new LastWriteWins(store);
    this.#extras = store;
    this.now = store.now === undefined ? systemNow : store.now.bind(store);
    this.endings = new Endings(options.onEnd, (key) => rows.idOf(key));
    this.users = new Users(scopedUsers(store.users, options.scope), this.#store, this.endings, options);
    this.tableUsers = new Users(store.users, this.#store, this.endings, options);
    this.#lanes = new Lanes(store.queryTimeout);
    this.#rows = rows;
    this.#options = options;
  }

  /** The store's time at once: of a store that would have to be asked, the process's. */
  estimatedNow(): number {
    const now = this.now();
    if (typeof now === "number") return now;
    now.catch(() => {});
    return systemNow();
  }

  /** Reads what is known of a key. */
  lookUp(key: string, options?: OperationOptions): Promise<Found> {
    return this.#extras.lookUp?.(key, options) ?? this.#store.find(key);
  }

  /**
   * Ends the session of a key, whatever it was renewed to. Resolves to false when the store knows that there was none.
   *
   * @param userId - the user's name in the table
   */
  async end(key: string, why: "destroyed" | "revoked", userId?: string): Promise<boolean> {
    const { terminate, end } = this.#extras;
    // Only a hook has to know, and most often there is none.
    const owner = this.#options.onEnd === undefined ? undefined : await this.#userOf(key);
    if (terminate !== undefined) {
      const last = await terminate.call(this.#extras, key, why, userId);
      if (last !== undefined) this.endings.ended(last, why, owner);
      return last !== undefined;
    }
    if (userId !== undefined && !(await this.#isOf(key, userId))) return false;
    const ended = await (end === undefined ? this.#store.delete(key) : end.call(this.#extras, key));
    if (ended === false) this.endings.tell(key);
    else this.endings.ended(key, why, owner);
    return ended !== false;
  }

  /** Ends every session. @param onEnded - called with how many have ended so far */
  async endAll(onEnded: (ended: number) => void): Promise<number> {
    let count = 0;
    const note = (keys: readonly string[]): void => {
      for (const key of keys) this.endings.tell(key);
      count += keys.length;
      onEnded(count);
    };
    const extras = this.#extras;
    if (extras.terminateAll !== undefined) {
      await extras.terminateAll(note);
      return count;
    }
    if (extras.all === undefined) throw new TypeError("store: can't list its sessions, it has no function all");
    for await (const { token } of extras.all()) if (await this.end(token, "revoked")) note([token]);
    return count;
  }

  async #isOf(key: string, userId: string): Promise<boolean> {
    const own = await this.#userOf(key);
    return own !== undefined && nameOf(own, this.#options.scope) === userId;
  }

  async #userOf(key: string): Promise<string | undefined> {
    const last = (await this.#extras.follow?.(key)) ?? key;
    const found = await this.#store.find(last);
    return found && userIn(this.#rows.decode(last, found).values);
  }

  /** Tells the hook of a login that was stored. */
  #welcome(record: SessionRecord, newKey: string): void {
    const userId = userIn(record.values);
    if (this.#options.onLogin === undefined || userId === undefined) return;
    const client = cleanClient(record.asker?.() ?? {});
    callHook("onLogin", this.#options.onLogin, { userId, id: this.#rows.idOf(newKey), ...client });
  }

  /** Says, without asking the store, that a flush would have nothing to do. */
  isSettled(record: SessionRecord): boolean {
    if (record.pending !== undefined || record.doubt !== undefined) return false;
    record.collect();
    const timeless = record.phase !== "stored" || (record.ownTimes.idleTimeout ?? this.#options.idleTimeout) === 0;
    const now = timeless ? 0 : this.now();
    if (typeof now === "number") return planCommit(planStateOf(record), this.#options, now).kind === "nothing";
    // The store must be asked for its time: the flush will, and will report when it fails.
    now.catch(() => {});
    return false;
  }

  /** Brings the store up to date with the record, after the flushes of it that were begun before. */
  flush(record: SessionRecord): Promise<void> {
    if (!isWatched("commit")) return this.#flush(record);
    return watchCommit(
      record,
      (watch) => this.#flush(record, watch),
      (key) => this.#rows.idOf(key),
    );
  }

  async #flush(record: SessionRecord, watch?: CommitWatch): Promise<void> {
    const mine = this.#flushAfter(record, record.pending, watch);
    record.pending = mine;
    try {
      await mine;
    } finally {
      if (record.pending === mine) record.pending = undefined;
    }
  }

  async #flushAfter(record: SessionRecord, before: Promise<void> | undefined, watch?: CommitWatch): Promise<void> {
    // Its failure was reported to whoever began it; what it could not write is written now.
    if (before !== undefined) await before.catch(() => {});
    try {
      await this.#flushInLane(record, watch);
    } catch (error) {
      // Before anybody hears of it, the commit that waits for this one included: what has failed is not made later.
      record.withdraw();
      throw error;
    }
  }

  async #flushInLane(record: SessionRecord, watch: CommitWatch | undefined): Promise<void> {
    const { key } = record;
    if (key === undefined || record.phase !== "stored") {
      await this.#write(record, watch);
      return;
    }
    const write = async (newest: StoredRow | undefined, signal?: AbortSignal): Promise<StoredRow | undefined> => {
      // The one before in the lane has just written: begin from that, instead of finding out by a conflict. From its
      // bytes, not its values: two requests never share an object.
      if (newest !== undefined && record.key === key && record.row?.data !== newest.data) {
        record.rebase(this.#rows.decode(key, newest));
      }
      const row = await this.#write(record, watch, signal && { signal });
      // A login that finds the session ended begins another: its row is nothing for those who wait for this one.
      return record.key === key ? row : undefined;
    };
    await this.#lanes.enter(key, write, () => record.asker?.().whenGone);
  }

  /** @param options - of a commit that has waited: what is left of its time */
  async #write(
    record: SessionRecord,
    watch: CommitWatch | undefined,
    options?: OperationOptions,
  ): Promise<StoredRow | undefined> {
    if (record.doubt !== undefined) await this.#resolveDoubt(record);
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      record.collect();
      const now = await this.now();
      const plan = planCommit(planStateOf(record), this.#options, now);
      if (watch !== undefined) Object.assign(watch, { plan: plan.kind, attempts: attempt });
      const outcome = await this.#perform(plan, record, now, options);
      if (typeof outcome === "object") return outcome.row;
      if (outcome === "again") continue;
      const found = outcome === "gone" || record.key === undefined ? undefined : await this.lookUp(record.key, options);
      if (typeof found !== "object") {
        if (await this.#wasRenewed(record)) continue;
        if (!this.#bury(record, found)) return undefined;
        continue;
      }
      publish("conflict", { id: this.#rows.idOf(record.key), attempt });
      record.rebase(this.#rows.decode(record.key ?? "", found));
      if (attempt > 2) await pause(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE));
    }
    throw new SessionConflictError(this.#rows.idOf(record.key), MOST_ATTEMPTS);
  }

  async #perform(plan: CommitPlan, record: SessionRecord, now: number, options?: OperationOptions): Promise<Outcome> {
    const { key = "", row } = record;
    switch (plan.kind) {
      case "nothing":
        if (record.ending?.kind === "destroy") record.end({ kind: "nothing" });
        return { row };
      case "touch": {
        if (row === undefined) return "gone";
        // Only while the deadline is the one that the expiry was bounded by, and that is in the data.
        if (!(await this.#store.touch(key, new Date(plan.expiry), { unchanged: row.data, ...options })))
          return "conflict";
        const touched = { ...row, expiry: new Date(plan.expiry) };
        record.row = touched;
        this.#deliver(record, row, touched, now);
        return { row: touched };
      }
      case "create": {
        const { predecessor, deliberate } = record;
        const isRevoked = predecessor?.why === "revoked";
        if (isRevoked && !deliberate) {
          // Its holder may have logged in meanwhile, and must stay so.
          const why = await this.lookUp(predecessor.key);
          if (why !== undefined && why !== "revoked") return "gone";
          record.values.set(REVOKED, predecessor.key);
        }
        record.token ??= createToken();
        const newKey = this.#rows.keyOf(record.token);
        const next = this.#rows.encode(record, plan, newKey);
        const count = record.operations.length;
        // Before it begins: were one of them alive beside it, nobody could tell next time which one counts.
        await this.#endRivals(record);
        const outcome = await this.users.create(newKey, next, record);
        if (outcome === "revoked") {
          // A commit that is tried again must not log in after all.
          record.end({ kind: "nothing" });
          throw new LoginRefusedError();
        }
        if (outcome === "refused") record.token = createToken();
        if (outcome !== "done") return "again";
        record.settle(next, newKey, count);
        this.#deliver(record, undefined, next, now);
        this.#welcome(record, newKey);
        if (isRevoked && deliberate) await this.#supersede(predecessor.key, newKey);
        return { row: next };
      }
      case "replace": {
        const next = this.#rows.encode(record, plan, key);
        const count = record.operations.length;
        if (row === undefined) return "conflict";
        if (!(await this.#store.replace(key, row.data, next.data, next.expiry, options))) return "conflict";
        record.settle(next, key, count);
        this.#deliver(record, row, next, now);
        return { row: next };
      }
      case "renew": {
        const { ending } = record;
        if (row === undefined || ending?.kind !== "renew") return "gone";
        const newKey = this.#rows.keyOf(ending.token);
        const revoked = ending.revive ? record.values.get(REVOKED) : undefined;
        if (ending.revive) record.values.delete(REVOKED);
        const next = this.#rows.encode(record, plan, newKey);
        const count = record.operations.length;
        // Whatever the store reports, only the table can tell whether it was carried out.
        const { doubt } = record;
        record.doubt = { token: ending.token, key: newKey, data: next.data };
        const outcome = await this.users.renew([key, newKey], row, next, record, options);
        record.doubt = outcome === "done" ? undefined : doubt;
        // Without a login the row decides that had to be there: it is there, or has been ended with the others.
        if (outcome === "revoked" && ending.revive) throw new LoginRefusedError();
        if (outcome !== "done") return "conflict";
        record.token = ending.token;
        record.settle(next, newKey, count);
        this.#deliver(record, undefined, next, now);
        const [before, after] = [userIn(row.values), userIn(next.values)];
        if (before !== undefined && before !== after) this.endings.ended(key, "replaced", before);
        else this.endings.tell(key);
        if (ending.revive) this.#welcome(record, newKey);
        if (typeof revoked === "string") await this.#supersede(revoked, newKey);
        return { row: undefined };
      }
      case "drop":
        return "gone";
      case "destroy": {
        // When it was gone already, a clearing cookie could wipe out the cookie of whoever renewed it.
        const isContested = record.rivals.length > 0;
        await this.#endRivals(record);
        const keys = new Set([record.predecessor?.key, record.key]);
        let ended = isContested;
        for (const each of keys) if (each !== undefined && (await this.end(each, "destroyed"))) ended = true;
        if (await this.#wasRenewed(record)) return "again";
        record.end({ kind: ended ? "clear" : "nothing" });
        return { row: undefined };
      }
    }
  }

  /** Ends the sessions that the request presented beside one another. */
  async #endRivals(record: SessionRecord): Promise<void> {
    await Promise.all(record.rivals.map((key) => this.end(key, "destroyed")));
    record.rivals = [];
  }

  /** A renewal has failed before: looks whether it was carried out, before anything is built on the row from before. */
  async #resolveDoubt(record: SessionRecord): Promise<void> {
    try {
      await this.#wasRenewed(record);
    } catch (error) {
      // Where nothing is to be stored, the application's answer is right, and it has been told of the failure.
      if (record.changed || record.ending !== undefined) throw error;
    }
  }

  /** Says whether a renewal that was reported as failed has put the session under its new token. It goes on from there then. */
  async #wasRenewed(record: SessionRecord): Promise<boolean> {
    const { doubt } = record;
    if (doubt === undefined || record.phase !== "stored") return false;
    const found = await this.lookUp(doubt.key);
    if (typeof found !== "object" || !equalValues(found.data, doubt.data)) return false;
    record.adopt(doubt);
    return true;
  }

  /**
   * The holder of a revoked session has logged in anew: its late requests must not begin another. Where the store fails at
   * it, the login stands.
   */
  async #supersede(key: string, newKey: string): Promise<void> {
    try {
      await this.#extras.supersede?.(key, newKey);
    } catch (error) {
      publish("store-error", { operation: "supersede", code: codeOf(error) });
    }
  }

  /**
   * The session was ended elsewhere: drops what was to be written. Returns true when the request begins a new one instead.
   *
   * @param why - as far as it is known
   */
  #bury(record: SessionRecord, why: EndReason | undefined): boolean {
    const key = record.key ?? record.predecessor?.key;
    if (key !== undefined) publish("gone", { id: this.#rows.idOf(key) });
    if (record.ending?.kind === "renew" && record.ending.revive) {
      record.restart(record.ending.token, why ?? "replaced");
      return true;
    }
    record.end({ kind: "nothing" });
    return false;
  }

  /** Notes what the client must be told: of a new token, or of another life of a persistent cookie. */
  #deliver(record: SessionRecord, before: StoredRow | undefined, after: StoredRow, now: number): void {
    const persistent = this.#isPersistent(after.values);
    const moved =
      before === undefined ||
      persistent !== this.#isPersistent(before.values) ||
      (persistent && before.expiry.getTime() !== after.expiry.getTime());
    if (record.token === undefined || !(moved || record.delivery.kind === "set")) return;
    const life = persistent ? { life: { now, expiry: after.expiry.getTime() } } : {};
    record.delivery = { kind: "set", token: record.token, ...life };
  }

  #isPersistent(values: Map<string, Value>): boolean {
    return (values.get(REMEMBER_ME) ?? this.#options.persist) === true;
  }
}

function userIn(values: ReadonlyMap<string, Value>): string | undefined {
  const userId = values.get(USER_ID);
  return typeof userId === "string" ? userId : undefined;
}
