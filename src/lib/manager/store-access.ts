import { codeOf, publish } from "../core/events.ts";
import type { ConditionalStore, Found, OperationOptions, Store, StoreExtras } from "../core/store.ts";
import { systemNow } from "../core/time.ts";
import { userIn } from "../session/reserved.ts";
import { isConditional, LastWriteWins } from "./complete-store.ts";
import { EndListeners } from "./hooks.ts";
import type { ResolvedOptions } from "./options.ts";
import type { RowCodec } from "./row-codec.ts";
import { nameOf } from "./scope.ts";

/** What loading and committing both need of the store: its time, look-ups, and the ends of sessions with those who are told of them. */
export class StoreAccess {
  readonly store: ConditionalStore;
  /** Milliseconds since 1970, in the store's time: known, or asked for. */
  readonly now: () => number | Promise<number>;
  /** Listeners for sessions ended by this process. */
  readonly endListeners: EndListeners;
  readonly #extras: StoreExtras;
  readonly #rows: RowCodec;
  readonly #options: ResolvedOptions;

  constructor(store: Store & StoreExtras, rows: RowCodec, options: ResolvedOptions) {
    this.store = isConditional(store) ? store : new LastWriteWins(store);
    this.now = store.now === undefined ? systemNow : store.now.bind(store);
    this.endListeners = new EndListeners(options.onEnd, (id) => rows.publicId(id));
    this.#extras = store;
    this.#rows = rows;
    this.#options = options;
  }

  /** The store's time at once. For a store that would have to be asked it is the process's. */
  estimatedNow(): number {
    const now = this.now();
    if (typeof now === "number") return now;
    now.catch(() => {});
    return systemNow();
  }

  /** Reads what the store knows of an id. */
  lookUp(id: string, options?: OperationOptions): Promise<Found> {
    return this.#extras.lookUp?.(id, options) ?? this.store.find(id);
  }

  /**
   * Ends a session, whatever it was renewed to. Resolves to false when the store knows that there was none.
   *
   * @param userId - the user's name in the table: ends the session only if it is that user's
   */
  async end(id: string, why: "destroyed" | "revoked", userId?: string): Promise<boolean> {
    const { terminate, end } = this.#extras;
    // Only a hook has to know, and most often there is none.
    const owner = this.#options.onEnd === undefined ? undefined : await this.#userOf(id);
    if (terminate !== undefined) {
      const last = await terminate.call(this.#extras, id, why, userId);
      if (last !== undefined) this.endListeners.ended(last, why, owner);
      return last !== undefined;
    }
    if (userId !== undefined && !(await this.#belongsTo(id, userId))) return false;
    const ended = await (end === undefined ? this.store.delete(id) : end.call(this.#extras, id));
    if (ended === false) this.endListeners.tell(id);
    else this.endListeners.ended(id, why, owner);
    return ended !== false;
  }

  /** Ends every session. @param onEnded - called with how many have ended so far */
  async endAll(onEnded: (ended: number) => void): Promise<number> {
    let count = 0;
    const note = (ids: readonly string[]): void => {
      for (const id of ids) this.endListeners.tell(id);
      count += ids.length;
      onEnded(count);
    };
    const extras = this.#extras;
    if (extras.terminateAll !== undefined) {
      await extras.terminateAll(note);
      return count;
    }
    if (extras.all === undefined) throw new TypeError("store: can't list its sessions, it has no function all");
    for await (const { id } of extras.all()) if (await this.end(id, "revoked")) note([id]);
    return count;
  }

  /**
   * Turns the tombstone of a revoked session into a replaced one, as its holder has logged in anew: late requests must not begin another
   * session. Where the store fails at it, the login stands.
   */
  async supersede(id: string, newId: string): Promise<void> {
    try {
      await this.#extras.supersede?.(id, newId);
    } catch (error) {
      publish("store-error", { operation: "supersede", code: codeOf(error) });
    }
  }

  async #belongsTo(id: string, userId: string): Promise<boolean> {
    const own = await this.#userOf(id);
    return own !== undefined && nameOf(own, this.#options.scope) === userId;
  }

  async #userOf(id: string): Promise<string | undefined> {
    const last = (await this.#extras.follow?.(id)) ?? id;
    const found = await this.store.find(last);
    return found && userIn(this.#rows.decode(last, found).values);
  }
}
