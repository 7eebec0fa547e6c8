import { repeat, systemNow } from "../core/time.ts";
import { type Duration, OptionReader, signalOf, wrong } from "../core/options.ts";
import { assertId } from "../core/token.ts";
import { equalValues } from "../core/value.ts";
import { detailsOf, type LoginDetails } from "../core/login-details.ts";
import type {
  ConditionalStore,
  EndingStore,
  EndReason,
  Found,
  OperationOptions,
  OwnedEntry,
  OwnedPlace,
  Owner,
  StoredEntry,
  StoredSession,
  StoreExtras,
  TouchOptions,
  UserStore,
  WriteOptions,
} from "../core/store.ts";

/** Options of `MemoryStore`. */
export interface MemoryStoreOptions {
  /** Pause between two cleanups: milliseconds or a string such as `"5m"`. 0 turns the cleanup off. Default: `"5m"`. */
  cleanupInterval?: Duration | undefined;
  /** Time for which an ended session is remembered, so that a late `upsert` doesn't bring it back. Default: `"2m"`. */
  endedGrace?: Duration | undefined;
  /**
   * A clock for tests that returns milliseconds since 1970, such as `testClock().now` of `pgstore/testing`. Managers of
   * the store go by it, too. Default: the process's clock.
   */
  now?: (() => number) | undefined;
}

/** A session in memory. */
interface MemoryRow {
  data: Uint8Array;
  /** Milliseconds since 1970, like `lastSeen` and `created`. */
  expiry: number;
  lastSeen: number;
  created?: number;
  owner?: Pick<Owner, "userId" | "tags"> & { details: LoginDetails };
  /** Set in a tombstone: the reason, and the id under which the session continues. */
  end?: { why: EndReason; successor?: string } | undefined;
}

/**
 * Stores sessions in the memory of this process, for tests and demos. They end with the process, and no other process sees
 * them.
 *
 * @example
 * const manager = new SessionManager(new MemoryStore());
 */
export class MemoryStore implements ConditionalStore, EndingStore, StoreExtras {
  /** Sessions by user. */
  readonly users: UserStore = {
    list: async (userId, limit, after) =>
      this.#of(userId)
        .filter((entry) => after === undefined || newestFirst(after, entry) < 0)
        .slice(0, limit),
    listByTag: async (tag, limit) => {
      const tagged = this.#liveRows().filter(([, { owner }]) => owner?.tags?.includes(tag) === true);
      return tagged.slice(0, limit).map(([id, { owner }]) => ({ id, userId: owner?.userId ?? "" }));
    },
    end: async (userId, except) => {
      const spared = new Set(except.map((id) => this.#lastOf(id)));
      return this.#endAll(this.#of(userId).filter(({ id }) => !spared.has(id)));
    },
    trim: async (userId, most) => this.#endAll(this.#of(userId).slice(most)),
  };
  /** True, because `now` returns a number, never a promise. */
  readonly hasLocalClock = true;
  readonly #rows = new Map<string, MemoryRow>();
  readonly #now: () => number;
  readonly #stop: () => void;
  /** Milliseconds. */
  readonly #grace: number;

  /** Creates an empty store and starts its periodic cleanup. @throws TypeError when an option is wrong */
  constructor(options: MemoryStoreOptions = {}) {
    const read = new OptionReader(options);
    this.#now = read.callback<() => number>("now") ?? systemNow;
    this.#grace = read.duration("endedGrace", "2m");
    const interval = read.duration("cleanupInterval", "5m");
    read.end();
    this.#stop = interval === 0 ? () => {} : repeat(interval, async () => void (await this.deleteExpired()));
  }

  /** Finds a live session. Resolves to undefined when it is missing or has expired. */
  async find(id: string): Promise<StoredSession | undefined> {
    const row = this.#live(id);
    return row && { data: row.data.slice(), expiry: new Date(row.expiry) };
  }

  /** Finds a live session, or the reason why it ended a short while ago. */
  lookUp(id: string): Promise<Found> {
    const row = this.#rows.get(id);
    const isRemembered = row !== undefined && this.#hasEnded(row) && row.expiry > this.#now() - this.#grace;
    return isRemembered ? Promise.resolve(row.end?.why ?? "destroyed") : this.find(id);
  }

  /** Inserts the session or overwrites it: the last write wins. */
  async save(id: string, data: Uint8Array, expiry: Date): Promise<void> {
    this.#put(id, data, expiry);
  }

  /** Inserts the session or overwrites it. Resolves to false, with nothing changed, when it was ended. */
  async upsert(id: string, data: Uint8Array, expiry: Date): Promise<boolean> {
    const row = this.#rows.get(assertId(id));
    if (row !== undefined && this.#hasEnded(row)) return false;
    this.#put(id, data, expiry);
    return true;
  }

  /** Overwrites a live session, whatever it holds. Resolves to false, with nothing changed, when it is gone or expired. */
  async update(id: string, data: Uint8Array, expiry: Date): Promise<boolean> {
    if (this.#live(assertId(id)) === undefined) return false;
    this.#put(id, data, expiry);
    return true;
  }

  /** Ends a session. Its row stays for a while, empty and expired. Resolves to whether the session was live. */
  async end(id: string): Promise<boolean> {
    const row = this.#rows.get(id);
    if (row === undefined || this.#hasEnded(row)) return false;
    this.#entomb(row, "destroyed");
    return true;
  }

  /**
   * Ends a session, even if it has been renewed under another id.
   *
   * @param userId - ends the session only if it belongs to this user
   * @returns the id under which the session was live, or undefined when it was not live
   */
  async terminate(id: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined> {
    if (why === "destroyed" && userId === undefined && (await this.end(id))) return id;
    const last = this.#lastOf(id);
    const row = this.#live(last);
    if (row === undefined || (userId !== undefined && row.owner?.userId !== userId)) return undefined;
    this.#entomb(row, why);
    return last;
  }

  /** Ends every session. @param onEnded - called once with their ids, if there were any */
  async terminateAll(onEnded: (ids: string[]) => void): Promise<void> {
    const live = this.#liveRows();
    for (const [, row] of live) this.#entomb(row, "revoked");
    if (live.length > 0) onEnded(live.map(([id]) => id));
  }

  /** Resolves to the id under which a session is live after renewals, or to undefined when it is not live. */
  async follow(id: string): Promise<string | undefined> {
    const last = this.#lastOf(id);
    return this.#live(last) && last;
  }

  /** Records that the holder of a revoked session has logged in again as `newId`. Resolves to whether it was revoked. */
  async supersede(id: string, newId: string): Promise<boolean> {
    const row = this.#rows.get(id);
    if (row === undefined || !this.#hasEnded(row) || row.end?.why !== "revoked") return false;
    row.end = { why: "replaced", successor: newId };
    return true;
  }

  /** Sets the expiry of a live session, earlier or later. Resolves to whether it is live. */
  async setExpiry(id: string, expiry: Date): Promise<boolean> {
    const row = this.#live(assertId(id));
    if (row === undefined) return false;
    row.expiry = milliseconds(expiry);
    return true;
  }

  /** Removes a session if it exists. Resolves to whether it existed. */
  async delete(id: string): Promise<boolean> {
    return this.#rows.delete(id);
  }

  /** Inserts a session. Resolves to false, with nothing changed, when the id is taken. */
  async create(id: string, data: Uint8Array, expiry: Date, options: WriteOptions = {}): Promise<boolean> {
    signalOf(options, "owner");
    const { owner } = options;
    if (this.#rows.has(assertId(id))) return false;
    const row = this.#put(id, data, expiry);
    if (owner !== undefined) this.#own(row, owner);
    return true;
  }

  /** Overwrites a live session if its bytes equal `previous`. Resolves to whether it did. */
  async replace(id: string, previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    if (this.#holding(assertId(id), previous) === undefined) return false;
    this.#put(id, data, expiry);
    return true;
  }

  /** Ends a live session if its bytes equal `previous` and inserts `newId`. Resolves to whether it did. */
  async renew(
    id: string,
    newId: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    options: WriteOptions = {},
  ): Promise<boolean> {
    signalOf(options, "owner");
    const { owner } = options;
    const row = this.#holding(assertId(id), previous);
    if (row === undefined || this.#rows.has(assertId(newId))) return false;
    const renewed = this.#put(newId, data, expiry);
    if (owner !== undefined) this.#own(renewed, owner, owner.goesOn === true ? row : undefined);
    this.#entomb(row, "replaced", newId);
    return true;
  }

  /**
   * Moves the expiry of a live session forward, never back. Resolves to whether it is live.
   *
   * @param options - `unchanged` resolves to false for a session with other bytes
   */
  async touch(id: string, expiry: Date, options: TouchOptions & OperationOptions = {}): Promise<boolean> {
    signalOf(options, "unchanged");
    const { unchanged } = options;
    const row = unchanged === undefined ? this.#live(assertId(id)) : this.#holding(assertId(id), unchanged);
    if (row === undefined) return false;
    row.expiry = Math.max(row.expiry, milliseconds(expiry));
    row.lastSeen = this.#now();
    return true;
  }

  /** Returns the store's time in milliseconds since 1970. */
  now(): number {
    return this.#now();
  }

  /** Lists the live sessions. */
  async *all(): AsyncGenerator<StoredEntry, void, undefined> {
    for (const id of Array.from(this.#rows.keys())) {
      const found = await this.find(id);
      if (found !== undefined) yield { id, ...found };
    }
  }

  /** Counts the live sessions. */
  async count(): Promise<number> {
    return this.#liveRows().length;
  }

  /** Removes expired sessions. Resolves to their number. */
  async deleteExpired(): Promise<number> {
    const before = this.#rows.size;
    const now = this.#now();
    for (const [id, { data, expiry }] of this.#rows) {
      if (expiry <= (data.length === 0 ? now - this.#grace : now)) this.#rows.delete(id);
    }
    return before - this.#rows.size;
  }

  /** Stops the periodic cleanup for good. Idempotent. */
  stopCleanup(): void {
    this.#stop();
  }

  /** Stops the cleanup. The sessions stay in memory as long as the store does. Idempotent. */
  async close(): Promise<void> {
    this.stopCleanup();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Follows renewals to the last id of a session. */
  #lastOf(id: string): string {
    let last = id;
    for (let next: string | undefined = id; next !== undefined; next = this.#rows.get(next)?.end?.successor)
      last = next;
    return last;
  }

  #entomb(row: MemoryRow, why: EndReason, successor?: string): void {
    Object.assign(row, { data: new Uint8Array(), expiry: this.#now(), end: { why, successor } });
  }

  /** Whether the row is a tombstone. */
  #hasEnded(row: MemoryRow): boolean {
    return row.end !== undefined || (row.data.length === 0 && row.expiry <= this.#now());
  }

  #live(id: string): MemoryRow | undefined {
    const row = this.#rows.get(id);
    return row !== undefined && isLive(row, this.#now()) ? row : undefined;
  }

  #liveRows(): [string, MemoryRow][] {
    const now = this.#now();
    return [...this.#rows].filter(([, row]) => isLive(row, now));
  }

  /** Returns the live row of an id if it holds these bytes. */
  #holding(id: string, previous: Uint8Array): MemoryRow | undefined {
    const row = this.#live(id);
    return row !== undefined && equalValues(row.data, previous) ? row : undefined;
  }

  /**
   * Records the user of a row. Each login of a user gets a later time than the last, even in the same millisecond, because
   * the limit ends the oldest.
   *
   * @param before - the row that is renewed: its login details are kept
   */
  #own(row: MemoryRow, owner: Owner, before?: MemoryRow): void {
    const { userId, tags } = owner;
    const [newest] = this.#of(userId);
    row.created =
      before?.created ?? Math.max(row.lastSeen, (newest?.created.getTime() ?? Number.NEGATIVE_INFINITY) + 1);
    row.lastSeen = Math.max(row.lastSeen, row.created);
    row.owner = { userId, tags, details: before?.owner?.details ?? detailsOf(owner) };
  }

  /** Lists a user's live sessions, newest first. */
  #of(userId: string): OwnedEntry[] {
    return this.#liveRows()
      .filter(([, { owner }]) => owner?.userId === userId)
      .map(([id, { owner, created = 0, lastSeen, expiry }]) => ({
        id,
        created: new Date(created),
        lastSeen: new Date(lastSeen),
        expiry: new Date(expiry),
        ...(owner?.details ?? detailsOf({})),
      }))
      .toSorted(newestFirst);
  }

  async #endAll(entries: readonly OwnedEntry[]): Promise<string[]> {
    for (const { id } of entries) await this.terminate(id, "revoked");
    return entries.map(({ id }) => id);
  }

  #put(id: string, data: Uint8Array, expiry: Date): MemoryRow {
    assertId(id);
    if (!(data instanceof Uint8Array)) throw wrong("data", "a Uint8Array", data);
    const written = { data: new Uint8Array(data), expiry: milliseconds(expiry), lastSeen: this.#now(), end: undefined };
    const row = { ...this.#rows.get(id), ...written };
    this.#rows.set(id, row);
    return row;
  }
}

/** A tombstone's expiry lies in the future once the clock is set back. */
function isLive({ end, expiry }: MemoryRow, now: number): boolean {
  return end === undefined && expiry > now;
}

function milliseconds(expiry: unknown): number {
  if (!(expiry instanceof Date) || Number.isNaN(expiry.getTime())) throw wrong("expiry", "a valid Date", expiry);
  return expiry.getTime();
}

function newestFirst(one: OwnedPlace, other: OwnedPlace): number {
  const byTime = other.created.getTime() - one.created.getTime();
  return byTime || Number(one.id < other.id) - Number(one.id > other.id);
}
