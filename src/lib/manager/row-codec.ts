import { SessionDecodeError, SessionTooLargeError } from "../core/errors.ts";
import { idOf } from "../core/token.ts";
import type { DecodedSession } from "../core/codec.ts";
import type { StoredSession } from "../core/store.ts";
import type { Value } from "../core/value.ts";
import type { SessionState } from "../session/state.ts";
import type { StoredRow } from "../session/values.ts";
import type { ResolvedOptions } from "./options.ts";
import { tokenPrefix } from "./scope.ts";

/** Bytes from which on a session is decoded once for all who have loaded it at the same time. */
const LARGE_BYTES = 1 << 15;

/** Turns sessions into the bytes of a row and back. */
export class RowCodec {
  readonly #options: ResolvedOptions;
  /** What stands before a token where its id is made. */
  readonly #prefix: string;
  /** What large bytes hold whose values nobody can change. */
  readonly #decoded = new WeakMap<Uint8Array, DecodedSession>();

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.#prefix = tokenPrefix(options.scope);
  }

  /** The id of a token's session: the row's key. */
  idOf(token: string): string {
    const scoped = this.#prefix + token;
    return this.#options.hashTokens ? idOf(scoped) : scoped;
  }

  /** What errors and events may call a session: its id, or, where that is the token, a hash of it. */
  publicId(id = ""): string {
    return this.#options.hashTokens ? id : idOf(id);
  }

  /** Whether the bytes of a row, and so its deadline, can't be altered in the table. */
  get isSealed(): boolean {
    return this.#options.codec.isSealed === true;
  }

  /**
   * Reads the bytes of a row.
   *
   * @throws SessionDecodeError
   */
  decode(id: string, found: StoredSession): StoredRow {
    try {
      const { maxBytes } = this.#options;
      // Before it is parsed: what another program has written may be of any size.
      if (found.data.length > maxBytes) throw new SessionTooLargeError(this.publicId(id), found.data.length, maxBytes);
      const { values, deadline } = this.#decodeOnce(found.data, this.publicId(id));
      return { data: found.data, values, deadline, expiry: found.expiry };
    } catch (cause) {
      throw new SessionDecodeError(this.publicId(id), { cause });
    }
  }

  #decodeOnce(data: Uint8Array, id: string): DecodedSession {
    const known = this.#decoded.get(data);
    if (known !== undefined) return known;
    const decoded = this.#options.codec.decode(data, id);
    const isImmutable = Array.from(decoded.values.values()).every(
      (value) => typeof value !== "object" || value === null,
    );
    if (isImmutable && data.length > LARGE_BYTES) this.#decoded.set(data, decoded);
    return decoded;
  }

  /**
   * Makes the row that is to be stored.
   *
   * @throws SessionTooLargeError; TypeError, naming the key, when an object in the session was changed into something that can't be
   */
  encode(state: SessionState, plan: { expiry: number; deadline: number }, id: string): StoredRow {
    const { codec, maxBytes } = this.#options;
    const values = state.values.all as Map<string, Value>;
    // The Date that was loaded, where it still holds: the codec may know it more exactly than to the millisecond.
    const loaded = state.values.deadline;
    const deadline = loaded?.getTime() === plan.deadline ? loaded : new Date(plan.deadline);
    const unique = state.values.changes.some(({ kind }) => kind === "update");
    let data: Uint8Array;
    try {
      data = codec.encode({ values, deadline }, this.publicId(id), unique);
    } catch (error) {
      state.values.assertStorable();
      throw error;
    }
    if (data.length > maxBytes) throw new SessionTooLargeError(this.publicId(id), data.length, maxBytes);
    return { data, values: state.values.snapshot(), deadline, expiry: new Date(plan.expiry) };
  }
}
