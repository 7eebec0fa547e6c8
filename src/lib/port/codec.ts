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
 * have written; the caller wraps what it throws in a `SessionDecodeError` and leaves the row alone.
 */
export interface Codec {
  encode(session: DecodedSession): Uint8Array;
  decode(bytes: Uint8Array): DecodedSession;
}
