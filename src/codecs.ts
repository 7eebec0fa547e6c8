export { encrypted } from "./lib/base/encrypted.ts";
export type { EncryptionKey } from "./lib/base/encryption-keys.ts";
export { scsJson } from "./lib/base/scs-json.ts";
export type { Codec, DecodedSession } from "./lib/port/codec.ts";
