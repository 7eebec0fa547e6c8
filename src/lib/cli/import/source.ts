import { scsJson } from "../../codec/scs-json.ts";
import { idOf, isToken, sha256 } from "../../core/token.ts";
import { parseSession } from "../../express-session/data.ts";
import { connectPgSimpleLayout, type Layout, scsLayout } from "../../postgres/sql/layout.ts";

/** The reason why a row is not imported. */
export type SkipReason =
  "not a session of express-session" | "gob, of SCS v2" | "not JSON of SCS v0.1.1" | "not a token";

/** The id of a row in pgstore's table, or the reason why it is skipped. */
type Converted = { id: string } | { skipped: SkipReason };

/** A package whose sessions can be imported. */
export interface ImportSource {
  readonly table: string;
  readonly layout: Layout;
  /** Converts the key of a row. Its data are copied unchanged. */
  convert(key: string, data: Uint8Array, expiry: Date): Converted;
}

/** Sources by the name of the package. */
export const SOURCES = {
  "connect-pg-simple": {
    table: "session",
    layout: connectPgSimpleLayout,
    convert: (sid, data, expiry) =>
      parseSession(data, expiry) === undefined ? { skipped: "not a session of express-session" } : { id: sha256(sid) },
  },
  // SCS stores tokens, pgstore their hashes.
  scs: {
    table: "sessions",
    layout: scsLayout,
    convert: (token, data) => {
      if (!isToken(token)) return { skipped: "not a token" };
      const reason = unreadable(data);
      return reason === undefined ? { id: idOf(token) } : { skipped: reason };
    },
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
