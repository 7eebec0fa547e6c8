import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { type EncryptionKey, isKeyId, namedKeys } from "./encryption-keys.ts";

/** What a codec must have; the port's Codec, from above. */
interface BytesCodec<Session> {
  encode(session: Session, id: string): Uint8Array;
  decode(bytes: Uint8Array, id: string): Session;
}

/** The first byte: encrypted, in the first format. No text begins with it. */
const FORMAT = 0xe1;
const ALGORITHM = "aes-256-gcm";
const NONCE = 12;
const TAG = 16;

/**
 * Encrypts what another codec writes, with AES-256-GCM: who reads the table, or a backup of it, learns nothing but lengths
 * and times, and who writes to it can neither change a session nor move its data to another one's row.
 *
 * The bytes are `0xE1`, the length of the key's id, the id, 12 random bytes, the ciphertext, and 16 bytes that authenticate
 * all of it and the session's id. What was not written so by one of the keys is rejected: bytes of a plain codec as well.
 *
 * @param keys - the first one writes, all of them read. To change the key put a new one in front; a session moves to it with
 *   its next change, so after the longest lifetime the old one can go. One key is good for 2^32 writes
 * @throws TypeError that names the wrong key, and shows nothing of it
 * @see OWASP ASVS 5.0.0, 11.3.2 to 11.3.4; NIST SP 800-38D, section 8.3
 */
export function encrypted<Session>(codec: BytesCodec<Session>, keys: readonly EncryptionKey[]): BytesCodec<Session> {
  const { encode, decode } = (codec ?? {}) as Partial<BytesCodec<Session>>;
  if (typeof encode !== "function" || typeof decode !== "function") {
    throw new TypeError("codec: must have the functions encode and decode");
  }
  const readers = namedKeys(keys);
  const [writer] = readers;
  const writersHeader = Buffer.concat([Uint8Array.of(FORMAT, writer.id.length), Buffer.from(writer.id)]);

  return {
    encode(session, id) {
      const associated = associatedData(writersHeader, id);
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv(ALGORITHM, writer.key, nonce, { authTagLength: TAG }).setAAD(associated);
      const ciphertext = [cipher.update(codec.encode(session, id)), cipher.final()];
      return Buffer.concat([writersHeader, nonce, ...ciphertext, cipher.getAuthTag()]);
    },

    decode(bytes, id) {
      const { header, keyId, nonce, ciphertext, tag } = partsOf(bytes);
      const reader = readers.find((key) => key.id === keyId);
      if (reader === undefined) throw new TypeError(`encrypted with the key ${keyId}, which is not among the keys`);
      const decipher = createDecipheriv(ALGORITHM, reader.key, nonce, { authTagLength: TAG })
        .setAAD(associatedData(header, id))
        .setAuthTag(tag);
      // Nothing is decoded before final() has found it authentic.
      const plaintext = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
      return codec.decode(plaintext, id);
    },
  };
}

/** The header tells its own length, so that no other header and id make the same bytes. */
function associatedData(header: Uint8Array, id: string): Uint8Array {
  if (typeof id !== "string" || id === "") throw new TypeError("id: an encrypted session needs its session's id");
  return Buffer.concat([header, Buffer.from(id)]);
}

function partsOf(data: Uint8Array) {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const [format, length = 0] = bytes;
  const [start, end] = [2 + length, bytes.length - TAG];
  if (format !== FORMAT || start + NONCE > end) throw new TypeError("not encrypted");
  const keyId = bytes.toString("latin1", 2, start);
  // It may appear in a message, whoever has written it.
  if (!isKeyId(keyId)) throw new TypeError("not encrypted");
  return {
    header: bytes.subarray(0, start),
    keyId,
    nonce: bytes.subarray(start, start + NONCE),
    ciphertext: bytes.subarray(start + NONCE, end),
    tag: bytes.subarray(end),
  };
}
