import type { Value } from "./value.ts";

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
 * have written; a request with such a session is anonymous, and the row is left alone.
 */
export interface Codec {
  /**
   * @param id - the session's id, which a codec may bind the bytes to
   * @param unique - the bytes should differ from all others, even those of an equal session: when the answer to a write is lost,
   *   a store tells by the bytes whose write it was. It matters for `update`, where two equal steps must count twice
   */
  encode(session: DecodedSession, id?: string, unique?: boolean): Uint8Array;
  /**
   * @param bytes - not to be changed
   * @param id - the same; that of the row where the bytes were found
   */
  decode(bytes: Uint8Array, id?: string): DecodedSession;
  /**
   * Says that bytes which this codec has not written are never decoded. A session past its deadline then counts as expired,
   * also when the row's expiry was moved by whoever can write the table.
   */
  readonly isSealed?: boolean;
}
