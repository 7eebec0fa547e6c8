import { repeat, systemNow } from "../core/time.ts";
import { type Duration, OptionReader, wrong } from "../core/options.ts";
import { assertId } from "../core/token.ts";
import type {
  ConditionalStore,
  EndingStore,
  EndReason,
  Found,
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
  /** How often expired sessions are removed: milliseconds or a text such as `"5m"`. 0: never. Default `"5m"`. */
  cleanupInterval?: Duration | undefined;
  /** How long it is remembered that a session was ended, so that a late `upsert` doesn't bring it back. Default `"2m"`. */
  endedGrace?: Duration | undefined;
  /** The store's clock, in milliseconds since 1970, for tests. */
  now?: (() => number) | undefined;
}

/** A session in memory. */
interface MemoryRow {
  data: Uint8Array;
  /** Milliseconds since 1970, as the others. */
  expiry: number;
  lastSeen: number;
  created?: number;
  owner?: Owner;
  /** Of a tombstone: why the session ended, and under which id it goes on. */
  end?: { why: EndReason; successor?: string } | undefined;
}

/** Sessions in the memory of this process, for tests and toys: they end with it, and no other process sees them. */
export class MemoryStore implements ConditionalStore, EndingStore, StoreExtras {
  /** Sessions by user. */
  readonly users: UserStore = {
    list: async (userId, limit, after) =>
      this.#of(userId)
        .filter((entry) => after === undefined || newestFirst(after, entry) < 0)
        .slice(0, limit),
    listByTag: async (tag, limit) => {
      const live = [...this.#rows].filter(([id, { owner }]) => owner?.tags?.includes(tag) === true && this.#live(id));
      return live.slice(0, limit).map(([id, { owner }]) => ({ id, userId: owner?.userId ?? "" }));
    },
    end: async (userId, except) => {
      const spared = new Set(except.map((id) => this.#lastOf(id)));
      return this.#endAll(this.#of(userId).filter(({ id }) => !spared.has(id)));
    },
    trim: async (userId, most) => this.#endAll(this.#of(userId).slice(most)),
  };
  readonly #rows = new Map<string, MemoryRow>();
  readonly #now: () => number;
  readonly #stop: () => void;
  /** Milliseconds. */
  readonly #grace: number;

  /** @throws TypeError when an option is wrong; it names the option */
  constructor(options: MemoryStoreOptions = {}) {
    const read = new OptionReader(options);
    this.#now = read.callback<() => number>("now") ?? systemNow;
    this.#grace = read.duration("endedGrace", "2m");
    const interval = read.duration("cleanupInterval", "5m");
    read.end();
    this.#stop =
      interval === 0
        ? () => {}
        : repeat(interval, async () => {
            await this.deleteExpired();
          });
  }

  /** Resolves to the live session of an id; undefined when there is none or when it has expired. */
  async find(id: string): Promise<StoredSession | undefined> {
    const row = this.#live(id);
    return row && { data: row.data.slice(), expiry: new Date(row.expiry) };
  }

  /** As `find`, but resolves to the reason when the session was ended a short while ago. */
  async lookUp(id: string): Promise<Found> {
    const row = this.#rows.get(id);
    const isRemembered = row !== undefined && this.#hasEnded(row) && row.expiry > this.#now() - this.#grace;
    return isRemembered ? (row.end?.why ?? "destroyed") : this.find(id);
  }

  /** Inserts or overwrites: the last write wins. */
  async save(id: string, data: Uint8Array, expiry: Date): Promise<void> {
    this.#put(id, data, expiry);
  }

  /** Inserts or overwrites, unless the session was ended. Resolves to whether it did. */
  async upsert(id: string, data: Uint8Array, expiry: Date): Promise<boolean> {
    const row = this.#rows.get(assertId(id));
    if (row !== undefined && this.#hasEnded(row)) return false;
    this.#put(id, data, expiry);
    return true;
  }

  /** Overwrites a live session, whatever it holds. Resolves to whether there was one. */
  async update(id: string, data: Uint8Array, expiry: Date): Promise<boolean> {
    if (this.#live(assertId(id)) === undefined) return false;
    this.#put(id, data, expiry);
    return true;
  }

  /** Ends a session: its row stays for a while, empty and expired. Resolves to whether there was one to end. */
  async end(id: string): Promise<boolean> {
    const row = this.#rows.get(id);
    if (row === undefined || this.#hasEnded(row)) return false;
    this.#entomb(row, "destroyed");
    return true;
  }

  /** Ends a session, also when it goes on under another id by now. Resolves to the id under which it was live. */
  async terminate(id: string, why: "destroyed" | "revoked", userId?: string): Promise<string | undefined> {
    if (why === "destroyed" && userId === undefined && (await this.end(id))) return id;
    const last = this.#lastOf(id);
    const row = this.#live(last);
    if (row === undefined || (userId !== undefined && row.owner?.userId !== userId)) return undefined;
    this.#entomb(row, why);
    return last;
  }

  /** Ends every session. @param onEnded - called with the ids of each page */
  async terminateAll(onEnded: (ids: string[]) => void): Promise<void> {
    const live = Array.from(this.#rows).filter(([id]) => this.#live(id) !== undefined);
    for (const [, row] of live) this.#entomb(row, "revoked");
    if (live.length > 0) onEnded(live.map(([id]) => id));
  }

  /** Resolves to the id under which a session is live by now; undefined when it is not. */
  async follow(id: string): Promise<string | undefined> {
    const last = this.#lastOf(id);
    return this.#live(last) && last;
  }

  /** Notes that the holder of a revoked session has logged in anew under `newId`. Resolves to whether it was one. */
  async supersede(id: string, newId: string): Promise<boolean> {
    const row = this.#rows.get(id);
    if (row === undefined || !this.#hasEnded(row) || row.end?.why !== "revoked") return false;
    row.end = { why: "replaced", successor: newId };
    return true;
  }

  /** Sets a live session's expiry, forward or back. Resolves to whether it is live. */
  async setExpiry(id: string, expiry: Date): Promise<boolean> {
    const row = this.#live(assertId(id));
    if (row === undefined) return false;
    row.expiry = milliseconds(expiry);
    return true;
  }

  /** Removes a session. Resolves to whether there was one. */
  async delete(id: string): Promise<boolean> {
    return this.#rows.delete(id);
  }

  /** Inserts. Resolves to false, and changes nothing, when the id is taken. */
  async create(id: string, data: Uint8Array, expiry: Date, { owner }: WriteOptions = {}): Promise<boolean> {
    if (this.#rows.has(assertId(id))) return false;
    this.#put(id, data, expiry);
    if (owner !== undefined) this.#own(id, owner);
    return true;
  }

  /** Overwrites a live session whose bytes are `previous`. Resolves to whether it did. */
  async replace(id: string, previous: Uint8Array, data: Uint8Array, expiry: Date): Promise<boolean> {
    if (this.#holding(assertId(id), previous) === undefined) return false;
    this.#put(id, data, expiry);
    return true;
  }

  /** Ends a live session whose bytes are `previous` and inserts `newId`. Resolves to whether it did. */
  async renew(
    id: string,
    newId: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    { owner }: WriteOptions = {},
  ): Promise<boolean> {
    const row = this.#holding(assertId(id), previous);
    if (row === undefined || this.#rows.has(assertId(newId))) return false;
    this.#put(newId, data, expiry);
    if (owner !== undefined) this.#own(newId, owner, owner.goesOn === true ? row : undefined);
    this.#entomb(row, "replaced", newId);
    return true;
  }

  /** Moves a live session's expiry forward, never back. Resolves to whether it is live. */
  async touch(id: string, expiry: Date, { unchanged }: TouchOptions = {}): Promise<boolean> {
    const row = unchanged === undefined ? this.#live(assertId(id)) : this.#holding(assertId(id), unchanged);
    if (row === undefined) return false;
    row.expiry = Math.max(row.expiry, milliseconds(expiry));
    row.lastSeen = this.#now();
    return true;
  }

  /** The store's time in milliseconds since 1970. */
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
    return Array.from(this.#rows.keys()).filter((id) => this.#live(id) !== undefined).length;
  }

  /** Removes what has expired. Resolves to how many. */
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

  /** Stops the cleanup. Idempotent; the sessions stay until the store is let go. */
  async close(): Promise<void> {
    this.stopCleanup();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Where renewals have led. */
  #lastOf(id: string): string {
    let last = id;
    for (let next: string | undefined = id; next !== undefined; next = this.#rows.get(next)?.end?.successor)
      last = next;
    return last;
  }

  #entomb(row: MemoryRow, why: EndReason, successor?: string): void {
    Object.assign(row, { data: new Uint8Array(), expiry: this.#now(), end: { why, successor } });
  }

  /** It is a tombstone. */
  #hasEnded(row: MemoryRow): boolean {
    return row.data.length === 0 && row.expiry <= this.#now();
  }

  #live(id: string): MemoryRow | undefined {
    const row = this.#rows.get(id);
    return row !== undefined && row.expiry > this.#now() ? row : undefined;
  }

  /** The live row of an id, if it holds these bytes. */
  #holding(id: string, previous: Uint8Array): MemoryRow | undefined {
    const row = this.#live(id);
    return row !== undefined && equalBytes(row.data, previous) ? row : undefined;
  }

  /**
   * Notes whose session a row is. A login's time is later than that of the user's last one, also in the same millisecond, as the limit
   * ends the oldest.
   *
   * @param before - the row of a session that goes on: what is known of its login stays
   */
  #own(id: string, { userId, ip, userAgent, tags }: Owner, before?: MemoryRow): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    const [newest] = this.#of(userId);
    row.created =
      before?.created ?? Math.max(row.lastSeen, (newest?.created.getTime() ?? Number.NEGATIVE_INFINITY) + 1);
    row.lastSeen = Math.max(row.lastSeen, row.created);
    const login = before?.owner ?? { ip, userAgent };
    row.owner = { userId, ip: login.ip, userAgent: login.userAgent, tags };
  }

  /** A user's live sessions, the newest first. */
  #of(userId: string): OwnedEntry[] {
    const live = [...this.#rows].filter(([id, { owner }]) => owner?.userId === userId && this.#live(id) !== undefined);
    return live
      .map(([id, { owner, created = 0, lastSeen, expiry }]) => ({
        id,
        created: new Date(created),
        lastSeen: new Date(lastSeen),
        expiry: new Date(expiry),
        ip: owner?.ip,
        userAgent: owner?.userAgent,
      }))
      .toSorted(newestFirst);
  }

  async #endAll(entries: readonly OwnedEntry[]): Promise<string[]> {
    for (const { id } of entries) await this.terminate(id, "revoked");
    return entries.map(({ id }) => id);
  }

  #put(id: string, data: Uint8Array, expiry: Date): void {
    assertId(id);
    if (!(data instanceof Uint8Array)) throw wrong("data", "a Uint8Array", data);
    const row = { data: Uint8Array.from(data), expiry: milliseconds(expiry), lastSeen: this.#now(), end: undefined };
    this.#rows.set(id, Object.assign(this.#rows.get(id) ?? {}, row));
  }
}

function milliseconds(expiry: unknown): number {
  if (!(expiry instanceof Date) || Number.isNaN(expiry.getTime())) throw wrong("expiry", "a valid Date", expiry);
  return expiry.getTime();
}

function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function newestFirst(one: OwnedPlace, other: OwnedPlace): number {
  const byTime = other.created.getTime() - one.created.getTime();
  return byTime || Number(one.id < other.id) - Number(one.id > other.id);
}
