export { encrypted, type EncryptionKey, type NamedEncryptionKey } from "./lib/codec/encrypted.ts";
export { scsJson } from "./lib/codec/scs-json.ts";
export type { Codec, DecodedSession } from "./lib/core/codec.ts";
