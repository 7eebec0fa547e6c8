export { encrypted, type EncryptionKey, type NamedEncryptionKey } from "./lib/base/encrypted.ts";
export { scsJson } from "./lib/base/scs-json.ts";
export type { Codec, DecodedSession } from "./lib/port/codec.ts";
