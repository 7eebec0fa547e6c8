import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { Codec } from "../core/codec.ts";
import { wrong } from "../core/options.ts";

/** A key of 32 random bytes, raw or as base64, base64url or hex. `openssl rand -base64 32` makes one. */
export type EncryptionKey = Uint8Array | string;

/** A key with an id that each row records. A key without an id is named after its hash. */
export interface NamedEncryptionKey {
  /** 1 to 32 printable ASCII characters. */
  id: string;
  /** The key itself. */
  key: EncryptionKey;
}

interface Key {
  secret: Buffer;
  /** The bytes before each nonce: the format's version, the length of the key's id, the id. */
  head: Buffer;
}

const VERSION = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = "aes-256-gcm";

/**
 * Encrypts the bytes of another codec with AES-256-GCM. A leaked table or backup reveals only lengths and times. A row that was altered, or
 * copied to another id, is rejected. So are rows that were stored without encryption.
 *
 * @param codec - encodes the sessions before encryption
 * @param keys - the first one encrypts, all of them decrypt. To rotate, put a new key first. A session gets it with its next write, so the
 *   old key can be removed when the last older session has ended. Nonces are random, so a key is good for 2^32 writes
 * @returns a codec for the manager's option `codec`
 * @throws TypeError, naming but not quoting the key, when one is wrong
 * @see NIST SP 800-38D, 8.3; OWASP ASVS 5.0.0, 11.3.3
 * @example
 * const manager = new SessionManager(store, { codec: encrypted(scsJson, [process.env.SESSION_KEY ?? ""]) });
 */
export function encrypted(codec: Codec, keys: readonly (EncryptionKey | NamedEncryptionKey)[]): Codec {
  if (typeof codec?.encode !== "function" || typeof codec.decode !== "function") {
    throw wrong("codec", "an object with the functions encode and decode", codec);
  }
  if (!Array.isArray(keys) || keys.length === 0) throw new TypeError("keys: expected an array of at least one key");
  const ring = (keys as readonly unknown[]).map(readKey);
  const [writing] = ring as [Key, ...Key[]];
  for (const [index, { head }] of ring.entries()) {
    if (ring.some((other, before) => before < index && other.head.equals(head))) {
      throw new TypeError(`keys[${index}].id: expected a unique id, got the id of an earlier key`);
    }
  }
  return {
    isSealed: true,
    // The nonce makes the bytes unique.
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

/** Decrypts bytes. @throws Error when the bytes, the key or the id differ */
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
      `keys[${index}]${isNamed ? ".key" : ""}: expected ${KEY_BYTES} bytes, raw or as base64 or hex. "openssl rand -base64 32" makes a key`,
    );
  }
  const name = isNamed ? id : createHash("sha256").update(secret).digest("base64url").slice(0, 8);
  if (typeof name !== "string" || !/^[\x21-\x7e]{1,32}$/.test(name)) {
    throw new TypeError(`keys[${index}].id: expected a string of 1 to 32 printable ASCII characters`);
  }
  return { secret, head: Buffer.from([VERSION, name.length, ...Buffer.from(name)]) };
}

/** Reads the bytes of a key. Undefined when it can't be a key. */
function bytesOf(key: unknown): Buffer | undefined {
  if (key instanceof Uint8Array) return Buffer.from(key);
  if (typeof key !== "string") return undefined;
  if (/^[0-9a-f]{64}$/i.test(key)) return Buffer.from(key, "hex");
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(key) ? Buffer.from(key, "base64") : undefined;
}
