export { scsJson } from "./lib/base/scs-json.ts";
export type { Codec, DecodedSession } from "./lib/port/codec.ts";
