import { Buffer } from "node:buffer";
import { createHmac, createSecretKey, type KeyObject } from "node:crypto";

/** 32 random bytes, as they are or as text in hex or base64: `openssl rand -base64 32`. */
type KeyMaterial = Uint8Array | string;

/**
 * A key of `encrypted`, with the name that the rows carry: letters, digits, `.`, `_` and `-`, at most 64. A key alone is
 * named after itself, by 8 characters that tell nothing of it.
 */
export type EncryptionKey = KeyMaterial | { id: string; key: KeyMaterial };

/** A key that was checked. */
export interface NamedKey {
  id: string;
  /** Not bytes: what inspects or prints it sees nothing. */
  key: KeyObject;
}

const LENGTH = 32;
const HEX = /^[0-9a-f]{64}$/i;
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;
const ID = /^[\w.-]{1,64}$/;

/** Says whether a key may be named so. */
export function isKeyId(id: string): boolean {
  return ID.test(id);
}

/**
 * Checks keys, and copies them.
 *
 * @throws TypeError that names the wrong one, and shows nothing of it
 */
export function namedKeys(keys: readonly EncryptionKey[]): [NamedKey, ...NamedKey[]] {
  if (!Array.isArray(keys)) throw new TypeError("keys: must be an array of keys, of which the first one writes");
  const [first, ...rest] = keys.map((key: unknown, index) => namedKey(key, `keys[${index}]`));
  if (first === undefined) throw new TypeError("keys: must have at least one key");
  const ids = new Set<string>();
  for (const [index, { id }] of [first, ...rest].entries()) {
    if (ids.has(id)) throw new TypeError(`keys[${index}].id: another key has the same`);
    ids.add(id);
  }
  return [first, ...rest];
}

function namedKey(value: unknown, name: string): NamedKey {
  if (typeof value === "string" || value instanceof Uint8Array) {
    const key = keyOf(value, name);
    return { id: createHmac("sha256", key).update("pgstore key id").digest("base64url").slice(0, 8), key };
  }
  if (typeof value !== "object" || value === null) {
    throw new TypeError(`${name}: must be a key of ${LENGTH} bytes, or { id, key }`);
  }
  const { id, key } = value as { id?: unknown; key?: unknown };
  if (typeof id !== "string" || !isKeyId(id)) {
    throw new TypeError(`${name}.id: must be 1 to 64 letters, digits, ".", "_" or "-"`);
  }
  return { id, key: keyOf(key, `${name}.key`) };
}

function keyOf(value: unknown, name: string): KeyObject {
  const bytes = typeof value === "string" ? bytesOf(value) : value;
  if (!(bytes instanceof Uint8Array) || bytes.length !== LENGTH) {
    throw new TypeError(`${name}: must be ${LENGTH} bytes, or these in hex or base64`);
  }
  return createSecretKey(bytes);
}

function bytesOf(text: string): Uint8Array | undefined {
  if (HEX.test(text)) return Buffer.from(text, "hex");
  return BASE64.test(text) ? Buffer.from(text, "base64") : undefined;
}
