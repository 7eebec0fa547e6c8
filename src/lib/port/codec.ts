import type { Value } from "../base/value.ts";

/** What the bytes of a row stand for. */
export interface DecodedSession {
  /** The values by key. A codec keeps every key, whichever it is. */
  values: Map<string, Value>;
  /** The instant at which the session's lifetime ends, in the database's time. */
  deadline: Date;
}

/**
 * Turns a session into the bytes of the `data` column and back.
 *
 * What `decode` gives, `encode` turns into bytes that decode to the same. `decode` throws on bytes that `encode` can't
 * have written; the caller wraps what it throws in a `SessionDecodeError`, takes the session for none and leaves the row
 * alone.
 *
 * Both get the id of the session whose row it is: the SHA-256 of its token, even where the table holds the token itself.
 * `encode` gets the new one when the token is renewed. Most codecs ignore it; `encrypted` binds the bytes to it.
 */
export interface Codec {
  encode(session: DecodedSession, id: string): Uint8Array;
  decode(bytes: Uint8Array, id: string): DecodedSession;
}
