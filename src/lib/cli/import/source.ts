import { scsJson } from "../../codec/scs-json.ts";
import { isToken } from "../../core/token.ts";
import { parseSession } from "../../express-session/data.ts";
import { connectPgSimpleLayout, type Layout, scsLayout } from "../../postgres/sql/layout.ts";

/** The reason why a row is not imported. */
export type SkipReason =
  "not a session of express-session" | "gob, of SCS v2" | "not JSON of SCS v0.1.1" | "not a token";

/** A package whose sessions can be imported. */
export interface ImportSource {
  readonly table: string;
  readonly layout: Layout;
  /** Says why a row is not imported. Undefined: it is, under the hash of its key, with its data unchanged. */
  reasonToSkip(key: string, data: Uint8Array, expiry: Date): SkipReason | undefined;
}

/** Sources by the name of the package. */
export const SOURCES = {
  "connect-pg-simple": {
    table: "session",
    layout: connectPgSimpleLayout,
    reasonToSkip: (_sid, data, expiry) =>
      parseSession(data, expiry) === undefined ? "not a session of express-session" : undefined,
  },
  scs: {
    table: "sessions",
    layout: scsLayout,
    reasonToSkip: (token, data) => (isToken(token) ? unreadable(data) : "not a token"),
  },
} satisfies Record<string, ImportSource>;

export type SourceName = keyof typeof SOURCES;

function unreadable(data: Uint8Array): SkipReason | undefined {
  try {
    scsJson.decode(data);
    return undefined;
  } catch {
    // JSON begins with one of these bytes, gob with the length of its first message.
    const isJson = data[0] !== undefined && [0x7b, 0x20, 0x09, 0x0a, 0x0d].includes(data[0]);
    return data.length > 0 && !isJson ? "gob, of SCS v2" : "not JSON of SCS v0.1.1";
  }
}
