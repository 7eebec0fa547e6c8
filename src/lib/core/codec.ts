import type { Value } from "./value.ts";

/** A session as a codec reads and writes it. */
export interface DecodedSession {
  /** The values by key. A codec keeps every key. */
  values: Map<string, Value>;
  /** The instant at which the session ends, regardless of activity, by the database's clock. */
  deadline: Date;
}

/**
 * Turns a session into the bytes of the `data` column and back.
 *
 * A session that `decode` returns must survive `encode` and `decode` unchanged. `decode` throws on bytes that `encode` can't have written. A
 * request with such a session is anonymous, and the row is left as it is.
 */
export interface Codec {
  /**
   * Encodes a session.
   *
   * @param session - not to be changed
   * @param id - the session's id, to which a codec may bind the bytes
   * @param unique - asks for bytes that no other call returns, not even for an equal session. When the answer to a write is lost, the bytes
   *   tell whose write it was. `update` needs this, as two equal steps must count twice
   * @returns bytes that the caller may keep
   */
  encode(session: DecodedSession, id?: string, unique?: boolean): Uint8Array;
  /**
   * Decodes a session.
   *
   * @param bytes - must not be changed
   * @param id - the id of the row that has the bytes
   * @throws any error for bytes that `encode` can't have written
   */
  decode(bytes: Uint8Array, id?: string): DecodedSession;
  /**
   * Whether `decode` rejects every byte sequence that this codec has not written. A session past its deadline then counts as expired even if
   * someone with write access to the table has moved the row's expiry.
   */
  readonly isSealed?: boolean | undefined;
}
