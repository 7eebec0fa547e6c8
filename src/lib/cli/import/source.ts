import { scsJson } from "../../codec/scs-json.ts";
import { idOf, isToken, sha256 } from "../../core/token.ts";
import { parseSession } from "../../express-session/data.ts";
import { connectPgSimpleLayout, type Layout, seedLayout } from "../../postgres/sql/layout.ts";

/** Why a row of another table can't be taken over. */
export type SkipReason =
  "not a session of express-session" | "gob, of SCS v2" | "not JSON of SCS v0.1.1" | "not a token";

/** What a row becomes in pgstore's table. */
export type Converted = { id: string } | { skipped: SkipReason };

/** Whose sessions are taken over. */
export interface ImportSource {
  readonly table: string;
  readonly layout: Layout;
  /** The bytes stay as they are. */
  convert(key: string, data: Uint8Array, expiry: Date): Converted;
}

/** By the name of the package that wrote the table. */
export const SOURCES = {
  "connect-pg-simple": {
    table: "session",
    layout: connectPgSimpleLayout,
    convert: (sid, data, expiry) =>
      parseSession(data, expiry) === undefined ? { skipped: "not a session of express-session" } : { id: sha256(sid) },
  },
  // Its table holds tokens as they are; ours their hashes.
  scs: {
    table: "sessions",
    layout: seedLayout,
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
    // No JSON text begins with such a byte; gob begins with the length of its first message.
    const isJson = data[0] !== undefined && [0x7b, 0x20, 0x09, 0x0a, 0x0d].includes(data[0]);
    return data.length > 0 && !isJson ? "gob, of SCS v2" : "not JSON of SCS v0.1.1";
  }
}
