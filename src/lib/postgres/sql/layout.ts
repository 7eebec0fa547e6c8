import { Buffer } from "node:buffer";
import { CONCAT, CONTAINS, EQ, LE, PLUS } from "./catalog.ts";
import type { EndReason } from "../../core/store.ts";
import { type TableName } from "./table-name.ts";
import { setupSql } from "./tables.ts";
import { bytesText, readBytes, utf8 } from "./text-format.ts";

/** The columns of a table of sessions, and the form of their contents. */
export interface Layout {
  readonly token: string;
  readonly data: string;
  readonly expiry: string;
  /** SQL that turns a text from `encode` into the data column. */
  write(text: string): string;
  /** SQL that turns the data column into a text for `decode`. */
  read(data: string): string;
  /** SQL of the size of the data in bytes. */
  size(data: string): string;
  /** Turns bytes into a text. @throws TypeError when the value is not a Uint8Array */
  encode(data: Uint8Array): string;
  decode(text: string | null | undefined): Uint8Array;
  /** Returns the error text for a text from `encode` that some column types refuse, or undefined. */
  refusable?(text: string): string | undefined;
  /** SQL of the SHA-256 of a row `s`'s data. */
  readonly digest: string;
  /**
   * SQL of the data of a destroyed session's tombstone. It stays for a while, so that late writes don't bring the session
   * back (docs/decisions/010).
   */
  readonly destroyed: string;
  /** SQL of the data of a revoked session's tombstone. */
  readonly revoked: string;
  /** SQL of the data of a replaced session's tombstone. @param newToken - SQL of the new id, a text */
  replacedBy(newToken: string): string;
  /** SQL of the id under which the session of a row `s` was renewed, or null. */
  readonly successor: string;
  /** SQL that says whether a row `s` has the data of a tombstone. */
  readonly entombed: string;
  /** SQL that says whether a row `s` is a tombstone. */
  readonly ended: string;
  /** SQL that is true for every row `s`, and fails when the columns have other types. */
  readonly typed: string;
  /** Whether `migrate` adds columns for users. */
  readonly users: boolean;
  /** Advice for an error about a missing table. */
  remedy(table: TableName): string;
}

/** Beginning of a tombstone's data. The tombstone of a destroyed session has no data. */
const MARK = "\0pgstore:";
const REVOKED = `${MARK}revoked`;
/** Followed by the new id. */
const REPLACED_BY = `${MARK}replaced:`;

const bytesOf = (text: string): string => `pg_catalog.decode('${Buffer.from(text).toString("hex")}', 'hex')`;
const beginsWith = (text: string): string => `pg_catalog.substring(s.data, 1, ${text.length}) ${EQ} ${bytesOf(text)}`;

/** Returns the reason why a session ended, from the data of its tombstone. */
export function reasonOf(data: Uint8Array): EndReason {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
  if (text === REVOKED) return "revoked";
  return text.startsWith(REPLACED_BY) ? "replaced" : "destroyed";
}

/** Tombstones expire at once. Their expiry can be ahead of a statement's time by as long as the statement waited for the row. */
const hasExpired = `s.expiry ${LE} (current_timestamp ${PLUS} interval '30 seconds')`;
const hasTombstone = `(s.data ${EQ} ''::bytea OR ${beginsWith(MARK)})`;

/**
 * SCS's table.
 *
 * In `typed`, `@>` accepts only timestamptz, and the comparisons only text and bytea. With a column of another type the
 * statement fails with 42883 (undefined_function) before it does anything. Otherwise a timestamp without time zone would
 * shift every expiry by the connection's zone, and a text column would store the bytes as text.
 */
export const scsLayout: Layout = {
  token: "token",
  data: "data",
  expiry: "expiry",
  write: (text) => `pg_catalog.decode(${text}, 'base64')`,
  read: (data) => `pg_catalog.encode(${data}, 'base64')`,
  size: (data) => `pg_catalog.octet_length(${data})`,
  encode: bytesText,
  decode: readBytes,
  digest: "pg_catalog.sha256(s.data)",
  destroyed: "''::bytea",
  revoked: bytesOf(REVOKED),
  replacedBy: (newToken) => `(${bytesOf(REPLACED_BY)} ${CONCAT} pg_catalog.convert_to(${newToken}, 'UTF8'::name))`,
  successor:
    `CASE WHEN ${hasExpired} AND ${beginsWith(REPLACED_BY)} ` +
    // convert_from takes a name, whose "C" collation would spread to the comparison and rule out the index on the id.
    `THEN pg_catalog.convert_from(pg_catalog.substring(s.data, ${REPLACED_BY.length + 1}), 'UTF8'::name) COLLATE pg_catalog."default" END`,
  entombed: hasTombstone,
  // A live session may have no bytes, so a tombstone is also recognised by its expiry.
  ended: `(${hasExpired} AND ${hasTombstone})`,
  typed:
    `pg_catalog.tstzrange(null::timestamptz, null::timestamptz) ${CONTAINS} s.expiry ` +
    `AND (s.data ${EQ} null::bytea) IS NULL AND (s.token ${EQ} null::text) IS NULL`,
  users: true,
  remedy: (table) => `Run store.migrate(), npx pgstore migrate, or: ${setupSql(table)}`,
};

/** JSON escapes that jsonb refuses: NUL and unpaired surrogates. JSON.stringify writes pairs without escapes. */
const NOT_IN_JSONB = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i;

/**
 * The table of the package connect-pg-simple: `sid varchar, sess json` (or jsonb), `expire timestamp(6)` in the time zone of
 * the connection. A tombstone is the JSON null, which that package reads as a missing session.
 */
export const connectPgSimpleLayout: Layout = {
  token: "sid",
  data: "sess",
  expiry: "expire",
  write: (text) => `${text}::json`,
  read: (data) => `${data}::text`,
  size: (data) => `pg_catalog.octet_length(${data}::text)`,
  encode: utf8,
  decode: (text) => Buffer.from(text ?? "", "utf8"),
  refusable: (text) =>
    NOT_IN_JSONB.test(text)
      ? "session: holds a text with \\u0000 or half a surrogate pair, which jsonb can't store"
      : undefined,
  digest: "pg_catalog.sha256(pg_catalog.convert_to(s.sess::text, 'UTF8'))",
  destroyed: "'null'::json",
  revoked: "'null'::json",
  replacedBy: () => "'null'::json",
  successor: "NULL::text",
  entombed: `s.sess::text ${EQ} 'null'`,
  // Regardless of the expiry, which that package's touch may have moved.
  ended: `(s.sess::text ${EQ} 'null')`,
  typed: "true",
  users: false,
  remedy: ({ quoted }) =>
    `Name the table that connect-pg-simple created, or run: CREATE TABLE ${quoted} (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL); CREATE INDEX ON ${quoted} (expire);`,
};

/**
 * Tells whether a row holds the sent data.
 *
 * @param found - the row's data as a text for `decode`
 * @param sent - the data as a text from `encode`
 */
export function holds({ decode }: Layout, found: string | undefined, sent: string): boolean {
  return Buffer.compare(decode(found), decode(sent)) === 0;
}
