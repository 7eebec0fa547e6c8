import type {
  ConditionalStore,
  EndReason,
  OwnedEntry,
  OwnedPlace,
  OwnedWrite,
  Owner,
  TaggedEntry,
  UserStore,
} from "../core/store.ts";

/** A session in memory. */
export interface MemoryRow {
  data: Uint8Array;
  /** Milliseconds since 1970, as the others. */
  expiry: number;
  lastSeen: number;
  created?: number;
  owner?: Owner;
  /** Of a tombstone: why the session ended, and under which id it goes on. */
  end?: { why: EndReason; successor?: string } | undefined;
}

/** What it takes of the store. */
interface Rows extends Pick<ConditionalStore, "create" | "renew"> {
  follow(id: string): Promise<string | undefined>;
  terminate(id: string, why: "revoked"): Promise<string | undefined>;
  now(): number;
}

/** The sessions of a `MemoryStore`, by user. */
export class MemoryUsers implements UserStore {
  readonly #rows: ReadonlyMap<string, MemoryRow>;
  readonly #store: Rows;

  constructor(rows: ReadonlyMap<string, MemoryRow>, store: Rows) {
    this.#rows = rows;
    this.#store = store;
  }

  async create(id: string, data: Uint8Array, expiry: Date, owner: Owner): Promise<OwnedWrite> {
    return this.#own(id, owner, () => this.#store.create(id, data, expiry));
  }

  async renew(
    id: string,
    newId: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    owner: Owner,
  ): Promise<OwnedWrite> {
    const before = owner.goesOn === true ? this.#rows.get(id) : undefined;
    const { ip, userAgent } = before?.owner ?? owner;
    const known = { userId: owner.userId, ip, userAgent, tags: owner.tags };
    return this.#own(newId, known, () => this.#store.renew(id, newId, previous, data, expiry), before?.created);
  }

  async list(userId: string, limit: number, after?: OwnedPlace): Promise<OwnedEntry[]> {
    return this.#of(userId)
      .filter((entry) => after === undefined || newestFirst(after, entry) < 0)
      .slice(0, limit);
  }

  async listByTag(tag: string, limit: number): Promise<TaggedEntry[]> {
    const now = this.#store.now();
    const found: TaggedEntry[] = [];
    for (const [id, { owner, expiry }] of this.#rows) {
      if (found.length === limit) break;
      if (owner?.tags?.includes(tag) === true && expiry > now) found.push({ id, userId: owner.userId });
    }
    return found;
  }

  async end(userId: string, except: readonly string[]): Promise<string[]> {
    const spared = await Promise.all(except.map((id) => this.#store.follow(id)));
    return this.#end(this.#of(userId).filter(({ id }) => !spared.includes(id)));
  }

  async trim(userId: string, most: number): Promise<string[]> {
    return this.#end(this.#of(userId).slice(most));
  }

  /** The row is its user's from the moment on that it is there: the store writes before it returns, unless it is held up. */
  async #own(id: string, owner: Owner, write: () => Promise<boolean>, created?: number): Promise<OwnedWrite> {
    const own = (): void => {
      const row = this.#rows.get(id);
      if (row === undefined) return;
      row.created = created ?? this.#timeOf(row.lastSeen, owner.userId);
      row.lastSeen = Math.max(row.lastSeen, row.created);
      row.owner = { ...owner };
    };
    const isTaken = this.#rows.has(id);
    const written = write();
    if (!isTaken) own();
    if (!(await written)) return "refused";
    if (this.#rows.get(id)?.owner === undefined) own();
    return "done";
  }

  /** A login's time: later than that of the user's last one, also in the same millisecond, as the limit ends the oldest. */
  #timeOf(now: number, userId: string): number {
    const [newest] = this.#of(userId);
    return newest === undefined ? now : Math.max(now, newest.created.getTime() + 1);
  }

  async #end(entries: OwnedEntry[]): Promise<string[]> {
    for (const { id } of entries) await this.#store.terminate(id, "revoked");
    return entries.map(({ id }) => id);
  }

  #of(userId: string): OwnedEntry[] {
    const now = this.#store.now();
    const live = [...this.#rows].filter(([, { owner, expiry }]) => owner?.userId === userId && expiry > now);
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
}

function newestFirst(one: OwnedPlace, other: OwnedPlace): number {
  const byTime = other.created.getTime() - one.created.getTime();
  return byTime || Number(one.id < other.id) - Number(one.id > other.id);
}
