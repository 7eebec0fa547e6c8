import { codeOf, publish } from "../core/events.ts";
import type { ConditionalStore, Found, OperationOptions, Store, StoreExtras } from "../core/store.ts";
import { systemNow } from "../core/time.ts";
import { userIn } from "../session/values.ts";
import { withConditions } from "./complete-store.ts";
import { EndListeners } from "./hooks.ts";
import type { ResolvedOptions } from "./options.ts";
import type { RowCodec } from "./row-codec.ts";
import { nameOf } from "./scope.ts";

/** The store's operations that loading and committing share: its time, look-ups, and ending sessions, with the listeners. */
export class StoreAccess {
  readonly store: ConditionalStore;
  /** What the store can do beyond that. */
  readonly extras: StoreExtras;
  /** Returns the store's time in milliseconds since 1970, or a promise of it when the store has to be asked. */
  readonly now: () => number | Promise<number>;
  /** Looks ids up: a live session, the reason of a recent end, or undefined. The store itself, if it can. */
  readonly reader: { lookUp(id: string, options?: OperationOptions): Promise<Found> };
  /** Listeners for sessions ended by this process. */
  readonly endListeners: EndListeners;
  readonly #rows: RowCodec;
  readonly #options: ResolvedOptions;

  /** Wraps a store, which need not have conditional writes. */
  constructor(store: Store & StoreExtras, rows: RowCodec, options: ResolvedOptions) {
    this.store = withConditions(store);
    this.now = store.now === undefined ? systemNow : store.now.bind(store);
    this.reader = canLookUp(store) ? store : { lookUp: (id) => store.find(id) };
    this.endListeners = new EndListeners(options.onEnd, (id) => rows.publicId(id));
    this.extras = store;
    this.#rows = rows;
    this.#options = options;
  }

  /** Returns the store's time at once, in milliseconds since 1970. If the store would have to be asked, it is the process's time. */
  estimatedNow(): number {
    const now = this.now();
    if (typeof now === "number") return now;
    now.catch(() => {});
    return systemNow();
  }

  /** Estimates the store's time without asking it, in milliseconds since 1970. */
  localNow(): number {
    return this.extras.hasLocalClock === true ? (this.now() as number) : systemNow();
  }

  /**
   * Ends a session, even if it has been renewed to another id.
   *
   * @param userId - the user's name in the table. Given, the session ends only if it is that user's
   * @returns false when the store knows that there was no such session
   */
  async end(id: string, why: "destroyed" | "revoked", userId?: string): Promise<boolean> {
    const { terminate, end } = this.extras;
    // Only a hook needs the owner.
    const owner = this.#options.onEnd === undefined ? undefined : await this.#userOf(id);
    if (terminate !== undefined) {
      const last = await terminate.call(this.extras, id, why, userId);
      if (last !== undefined) this.endListeners.ended(last, why, owner);
      return last !== undefined;
    }
    if (userId !== undefined && !(await this.#belongsTo(id, userId))) return false;
    const ended = await (end === undefined ? this.store.delete(id) : end.call(this.extras, id));
    if (ended === false) this.endListeners.tell(id);
    else this.endListeners.ended(id, why, owner);
    return ended !== false;
  }

  /** Ends every session. Returns their number. @param onEnded - called after each page with the number so far */
  async endAll(onEnded: (ended: number) => void): Promise<number> {
    let count = 0;
    const note = (ids: readonly string[]): void => {
      for (const id of ids) this.endListeners.tell(id);
      count += ids.length;
      onEnded(count);
    };
    const extras = this.extras;
    if (extras.terminateAll !== undefined) {
      await extras.terminateAll(note);
      return count;
    }
    if (extras.all === undefined) throw new TypeError("store: can't list its sessions, it has no function all");
    for await (const { id } of extras.all()) if (await this.end(id, "revoked")) note([id]);
    return count;
  }

  /**
   * Turns the tombstone of a revoked session into that of a replaced one after its holder has logged in again, so that late requests begin
   * no further session. If this fails, the login still stands.
   */
  async supersede(id: string, newId: string): Promise<void> {
    try {
      await this.extras.supersede?.(id, newId);
    } catch (error) {
      publish("store-error", { operation: "supersede", code: codeOf(error) });
    }
  }

  async #belongsTo(id: string, userId: string): Promise<boolean> {
    const own = await this.#userOf(id);
    return own !== undefined && nameOf(own, this.#options.scope) === userId;
  }

  async #userOf(id: string): Promise<string | undefined> {
    const last = (await this.extras.follow?.(id)) ?? id;
    const found = await this.store.find(last);
    return found && userIn(this.#rows.decode(last, found).values);
  }
}

function canLookUp(store: StoreExtras): store is Required<Pick<StoreExtras, "lookUp">> {
  return store.lookUp !== undefined;
}
