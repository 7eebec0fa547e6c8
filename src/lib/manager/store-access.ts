import { SessionDecodeError, SessionTooLargeError } from "../core/errors.ts";
import { codeOf, publish } from "../core/events.ts";
import type { DecodedSession } from "../core/codec.ts";
import type { ConditionalStore, Store, StoredSession, StoreExtras } from "../core/store.ts";
import { systemNow } from "../core/time.ts";
import { idOf } from "../core/token.ts";
import type { Value } from "../core/value.ts";
import type { RowTimes } from "../session/plan.ts";
import type { SessionState } from "../session/state.ts";
import { type StoredRow, userIn } from "../session/values.ts";
import { withConditions } from "./complete-store.ts";
import { EndListeners } from "./hooks.ts";
import type { ResolvedOptions } from "./options.ts";
import { nameOf } from "./scope.ts";

/** Above this size, requests that loaded the same bytes share one decoded session. */
const LARGE_BYTES = 1 << 15;

/**
 * The work on the store that loading and committing share: ids of tokens, rows as bytes within `maxBytes`, the store's time, look-ups, and
 * ending sessions, with the listeners.
 */
export class StoreAccess {
  readonly store: ConditionalStore;
  /** The store's optional members. */
  readonly extras: StoreExtras;
  /** Returns the store's time in milliseconds since 1970, or a promise of it when the store has to be asked. */
  readonly now: () => number | Promise<number>;
  /** Looks ids up: a live session, the reason of a recent end, or undefined. */
  readonly reader: Required<Pick<StoreExtras, "lookUp">>;
  /** Listeners for sessions ended by this process. */
  readonly endListeners: EndListeners;
  readonly options: ResolvedOptions;
  /** Decoded sessions of large rows, all of whose values are immutable. */
  readonly #decoded = new WeakMap<Uint8Array, DecodedSession>();

  /** Wraps a store, which need not have conditional writes. */
  constructor(store: Store & StoreExtras, options: ResolvedOptions) {
    this.store = withConditions(store);
    this.now = store.now === undefined ? systemNow : store.now.bind(store);
    this.reader = store.lookUp === undefined ? { lookUp: (id) => store.find(id) } : (store as StoreAccess["reader"]);
    this.endListeners = new EndListeners(options.onEnd, (id) => this.publicId(id));
    this.extras = store;
    this.options = options;
  }

  /** Returns the id of a token's session, the key of its row. */
  idOf(token: string): string {
    const { scope, hashTokens } = this.options;
    // No token has a dot.
    const scoped = scope === undefined ? token : `${scope}.${token}`;
    return hashTokens ? idOf(scoped) : scoped;
  }

  /** Returns an id that errors and events may show. With `hashTokens: false`, where the id is the token, it is the id's hash. */
  publicId(id = ""): string {
    return this.options.hashTokens ? id : idOf(id);
  }

  /**
   * Decodes the bytes of a row.
   *
   * @throws SessionDecodeError, with the reason as `cause`, when the bytes are unreadable or too many;
   *   SessionInvalidError with `onInvalid: "fail"`, or when a schema refuses what `onInvalid` returns
   */
  decode(id: string, { data, expiry }: StoredSession): StoredRow {
    const { maxBytes, schema } = this.options;
    const publicId = this.publicId(id);
    let decoded: DecodedSession;
    try {
      // Checked before parsing, as another program may have written any size.
      if (data.length > maxBytes) throw new SessionTooLargeError(publicId, data.length, maxBytes);
      decoded = this.#decodeOnce(data, publicId);
    } catch (cause) {
      throw new SessionDecodeError(publicId, { cause });
    }
    const values = schema === undefined ? decoded.values : schema.load(decoded.values, publicId);
    return { data, values, deadline: decoded.deadline, expiry };
  }

  #decodeOnce(data: Uint8Array, id: string): DecodedSession {
    const { codec } = this.options;
    if (data.length <= LARGE_BYTES) return codec.decode(data, id);
    const known = this.#decoded.get(data);
    if (known !== undefined) return known;
    const decoded = codec.decode(data, id);
    const isImmutable = Array.from(decoded.values.values()).every(
      (value) => typeof value !== "object" || value === null,
    );
    if (isImmutable) this.#decoded.set(data, decoded);
    return decoded;
  }

  /**
   * Encodes the row to store.
   *
   * @throws SessionTooLargeError when the bytes exceed `maxBytes`; TypeError, naming the key, when an object in the session was changed into
   *   one that can't be stored
   */
  encode(state: SessionState, times: RowTimes, id: string): StoredRow {
    const { codec, maxBytes, schema } = this.options;
    if (schema !== undefined) state.values.checkChanged(schema);
    const values = state.values.all as Map<string, Value>;
    // An unchanged deadline stays the Date that was decoded, as the codec may keep its nanoseconds.
    const loaded = state.values.deadline;
    const deadline = loaded?.getTime() === times.deadline ? loaded : new Date(times.deadline);
    const unique = state.values.changes.some(({ kind }) => kind === "update");
    let data: Uint8Array;
    try {
      data = codec.encode({ values, deadline }, this.publicId(id), unique);
    } catch (error) {
      state.values.assertStorable();
      throw error;
    }
    if (data.length > maxBytes) throw new SessionTooLargeError(this.publicId(id), data.length, maxBytes);
    const stored = state.values.snapshot();
    state.watcher?.encoded(stored);
    return { data, values: stored, deadline, expiry: new Date(times.expiry) };
  }

  /** Returns the store's time at once, in milliseconds since 1970. Undefined: the store has to be asked. */
  knownNow(): number | undefined {
    const now = this.now();
    if (typeof now === "number") return now;
    // The caller that waits for the answer reports a failure.
    now.catch(() => {});
    return undefined;
  }

  /** Estimates the store's time without asking it, in milliseconds since 1970. */
  localNow(): number {
    return this.extras.hasLocalClock === true ? (this.now() as number) : systemNow();
  }

  /**
   * Ends a session, even if it has been renewed to another id.
   *
   * @param userId - the user's name in the table. If given, the session ends only if it is this user's
   * @returns false when the store knows that there was no such session
   */
  async end(id: string, why: "destroyed" | "revoked", userId?: string): Promise<boolean> {
    const { extras, options } = this;
    // A hook gets the owner. A store that can't compare the owner leaves that to the manager.
    const needsOwner = options.onEnd !== undefined || (userId !== undefined && extras.terminate === undefined);
    const owner = needsOwner ? await this.#userOf(id) : undefined;
    if (extras.terminate !== undefined) {
      const last = await extras.terminate(id, why, userId);
      // Another process has renewed or ended it. Listeners here know only this id. It may be another user's if an owner was given.
      if (last !== id && (last !== undefined || userId === undefined)) this.endListeners.tell(id);
      if (last !== undefined) this.endListeners.ended(last, why, owner);
      return last !== undefined;
    }
    if (userId !== undefined && (owner === undefined || nameOf(owner, options.scope) !== userId)) return false;
    const ended = await (extras.end === undefined ? this.store.delete(id) : extras.end(id));
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
   * Marks a revoked session's tombstone as replaced after its holder has logged in again, so that late requests begin
   * no further session. If this fails, the login still stands.
   */
  async supersede(id: string, newId: string): Promise<void> {
    try {
      await this.extras.supersede?.(id, newId);
    } catch (error) {
      publish("store-error", { operation: "supersede", code: codeOf(error) });
    }
  }

  async #userOf(id: string): Promise<string | undefined> {
    const last = (await this.extras.follow?.(id)) ?? id;
    const found = await this.store.find(last);
    return found && userIn(this.decode(last, found).values);
  }
}
