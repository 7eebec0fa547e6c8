import { SessionDecodeError, SessionTooLargeError } from "../core/errors.ts";
import { idOf } from "../core/token.ts";
import type { DecodedSession } from "../core/codec.ts";
import type { StoredSession } from "../core/store.ts";
import type { Value } from "../core/value.ts";
import type { SessionState } from "../session/state.ts";
import type { Change, StoredRow } from "../session/values.ts";
import type { ResolvedOptions } from "./options.ts";
import { tokenPrefix } from "./scope.ts";

/** Above this size, requests that loaded the same bytes share one decoded session. */
const LARGE_BYTES = 1 << 15;

/** Encodes sessions into rows and decodes them, within `maxBytes`, and makes their ids. */
export class RowCodec {
  readonly #options: ResolvedOptions;
  /** The scope's prefix of a token before it is hashed. */
  readonly #prefix: string;
  /** Decoded sessions of large rows, all of whose values are immutable. */
  readonly #decoded = new WeakMap<Uint8Array, DecodedSession>();

  /** Uses the options' codec and scope. */
  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.#prefix = tokenPrefix(options.scope);
  }

  /** Returns the id of a token's session, the key of its row. */
  idOf(token: string): string {
    const scoped = this.#prefix + token;
    return this.#options.hashTokens ? idOf(scoped) : scoped;
  }

  /** Returns an id that errors and events may show. With `hashTokens: false`, where the id is the token, it is the id's hash. */
  publicId(id = ""): string {
    return this.#options.hashTokens ? id : idOf(id);
  }

  /** Whether the codec detects bytes, the deadline among them, that were altered in the table. */
  get isSealed(): boolean {
    return this.#options.codec.isSealed === true;
  }

  /**
   * Decodes the bytes of a row.
   *
   * @throws SessionDecodeError when the bytes are unreadable or too many; `cause` has the reason. SessionInvalidError as `onInvalid` says
   */
  decode(id: string, found: StoredSession): StoredRow {
    const row = this.#decode(id, found);
    const { schema } = this.#options;
    if (schema !== undefined) row.values = schema.load(row.values, this.publicId(id));
    return row;
  }

  #decode(id: string, found: StoredSession): StoredRow {
    try {
      const { maxBytes } = this.#options;
      // Checked before parsing, as another program may have written any size.
      if (found.data.length > maxBytes) throw new SessionTooLargeError(this.publicId(id), found.data.length, maxBytes);
      const { values, deadline } = this.#decodeOnce(found.data, this.publicId(id));
      return { data: found.data, values, deadline, expiry: found.expiry };
    } catch (cause) {
      throw new SessionDecodeError(this.publicId(id), { cause });
    }
  }

  #decodeOnce(data: Uint8Array, id: string): DecodedSession {
    const { codec } = this.#options;
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
  encode(state: SessionState, plan: { expiry: number; deadline: number }, id: string): StoredRow {
    const { codec, maxBytes, schema } = this.#options;
    if (schema !== undefined) state.values.checkChanged(schema);
    const values = state.values.all as Map<string, Value>;
    // An unchanged deadline stays the Date that was decoded, as the codec may keep its nanoseconds.
    const loaded = state.values.deadline;
    const deadline = loaded?.getTime() === plan.deadline ? loaded : new Date(plan.deadline);
    const unique = state.values.changes.some(isUpdate);
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
    return { data, values: stored, deadline, expiry: new Date(plan.expiry) };
  }
}

function isUpdate({ kind }: Change): boolean {
  return kind === "update";
}
