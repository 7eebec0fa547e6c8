import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { wrong } from "../core/options.ts";

/** Thirty-two random bytes, as they are or as base64, base64url or hex: `openssl rand -base64 32` makes some. */
export type EncryptionKey = Uint8Array | string;

/** A key with the name under which rows remember it. Without one it is named after its own hash. */
export interface NamedEncryptionKey {
  /** Up to 32 characters of ASCII. */
  id: string;
  key: EncryptionKey;
}

/** A codec, of whatever it takes a session for. */
interface AnyCodec<S> {
  encode(session: S, id?: string, unique?: boolean): Uint8Array;
  decode(bytes: Uint8Array, id?: string): S;
  readonly isSealed?: boolean;
}

interface Key {
  secret: Buffer;
  /** What stands before each ciphertext: the format's version, the length of the key's id, the id. */
  head: Buffer;
}

const VERSION = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = "aes-256-gcm";

/**
 * Encrypts what another codec writes, with AES-256-GCM: who reads the table, or a backup of it, learns nothing but lengths and
 * times, and can't change a row unnoticed. The session's id is authenticated too, so the data of one row is worthless in
 * another.
 *
 * Bytes that can't be decrypted are an error, whatever the other codec could make of them.
 *
 * @param keys - the first one writes, all of them read. To rotate put a new one first; each session takes it at its next save,
 *   so the old one can go when the last session from before has ended. Nonces are random, so a key is good for 2^32 writes
 * @throws TypeError that names the key, without showing it
 * @see NIST SP 800-38D, 8.3; OWASP ASVS 5.0.0, 11.3.3
 */
export function encrypted<S>(codec: AnyCodec<S>, keys: readonly (EncryptionKey | NamedEncryptionKey)[]): AnyCodec<S> {
  if (typeof codec?.encode !== "function" || typeof codec.decode !== "function") {
    throw wrong("codec", "an object with the functions encode and decode", codec);
  }
  if (!Array.isArray(keys) || keys.length === 0) throw new TypeError("keys: expected an array of at least one key");
  const ring = (keys as readonly unknown[]).map(readKey);
  const [writing] = ring as [Key, ...Key[]];
  for (const [index, { head }] of ring.entries()) {
    if (ring.some((other, before) => before < index && other.head.equals(head))) {
      throw new TypeError(`keys[${index}].id: another key has it already`);
    }
  }
  return {
    isSealed: true,
    // Its nonce makes the bytes unique in any case.
    encode: (session, id = "") => encrypt(writing, codec.encode(session, id), id),
    decode(bytes, id = "") {
      const found = ring.find(({ head }) => head.equals(bytes.subarray(0, head.length)));
      if (found === undefined) throw new TypeError("the data is not encrypted with any of the keys");
      return codec.decode(decrypt(found, bytes, id), id);
    },
  };
}

function encrypt({ secret, head }: Key, plain: Uint8Array, id: string): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, secret, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.concat([head, Buffer.from(id)]));
  const parts = [head, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
  return new Uint8Array(Buffer.concat(parts));
}

/** @throws Error when a single bit of it, the key or the id is another */
function decrypt({ secret, head }: Key, bytes: Uint8Array, id: string): Uint8Array {
  const from = head.length + NONCE_BYTES;
  const to = bytes.length - TAG_BYTES;
  if (to < from) throw new TypeError("the data is too short to be encrypted");
  const decipher = createDecipheriv(CIPHER, secret, bytes.subarray(head.length, from), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.concat([head, Buffer.from(id)]));
  decipher.setAuthTag(bytes.subarray(to));
  return new Uint8Array(Buffer.concat([decipher.update(bytes.subarray(from, to)), decipher.final()]));
}

function readKey(given: unknown, index: number): Key {
  const isNamed = typeof given === "object" && given !== null && !(given instanceof Uint8Array);
  const { id, key } = (isNamed ? given : { key: given }) as { id?: unknown; key?: unknown };
  const secret = bytesOf(key);
  if (secret?.length !== KEY_BYTES) {
    throw new TypeError(
      `keys[${index}]${isNamed ? ".key" : ""}: expected ${KEY_BYTES} bytes, or those as base64 or hex`,
    );
  }
  const name = isNamed ? id : createHash("sha256").update(secret).digest("base64url").slice(0, 8);
  if (typeof name !== "string" || !/^[\x21-\x7e]{1,32}$/.test(name)) {
    throw new TypeError(`keys[${index}].id: expected a string of 1 to 32 printable characters of ASCII`);
  }
  return { secret, head: Buffer.from([VERSION, name.length, ...Buffer.from(name)]) };
}

/** Undefined when it is nothing that a key could be. */
function bytesOf(key: unknown): Buffer | undefined {
  if (key instanceof Uint8Array) return Buffer.from(key);
  if (typeof key !== "string") return undefined;
  if (/^[0-9a-f]{64}$/i.test(key)) return Buffer.from(key, "hex");
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(key) ? Buffer.from(key, "base64") : undefined;
}
