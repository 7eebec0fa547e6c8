import { Buffer } from "node:buffer";
import { CONCAT, CONTAINS, EQ, LE, PLUS } from "./catalog.ts";
import type { Row } from "../drivers/driver.ts";
import type { EndReason } from "../../core/store.ts";
import { type TableName } from "./table-name.ts";
import { setupSql } from "./tables.ts";
import { bytesText, readBytes } from "./text-format.ts";

/** How a table keeps sessions: its columns, and what stands in them. */
export interface Layout {
  readonly token: string;
  readonly data: string;
  readonly expiry: string;
  /** SQL that makes the data of a text that `encode` made. */
  write(text: string): string;
  /** SQL that makes a text for `decode` of the data. */
  read(data: string): string;
  /** SQL of how many bytes the data have. */
  size(data: string): string;
  /** @throws TypeError when it is no Uint8Array */
  encode(data: Uint8Array): string;
  decode(text: string | null | undefined): Uint8Array;
  /** Says of a text that `encode` made what a column of some types refuses in it; undefined: nothing. */
  refusable?(text: string): string | undefined;
  /** SQL of the SHA-256 of a row `s`'s data. */
  readonly digest: string;
  /**
   * The data of a row whose session its holder has ended, as SQL. It stays for a while, so that late writes find it and keep
   * off. (docs/decisions/010)
   */
  readonly destroyed: string;
  /** The same of a session that was ended from outside. */
  readonly revoked: string;
  /** The same of a session that goes on under another token. @param newToken - SQL of a text */
  replacedBy(newToken: string): string;
  /** SQL of the token under which the session of a row `s` goes on; null when it does not. */
  readonly successor: string;
  /** SQL that says of a row `s` whether its data are one of these. */
  readonly entombed: string;
  /** SQL that says whether a row `s` is such a one. */
  readonly ended: string;
  /** SQL that is true of every row `s`, and fails when the columns have other types. */
  readonly typed: string;
  /** Whether `migrate` adds to it what sessions by user need. */
  readonly users: boolean;
  /** Advice for an error about a missing table. */
  remedy(table: TableName): string;
}

/** How the data of a tombstone begin, unless the session's holder has ended it: then there are none. */
const MARK = "\0pgstore:";
const REVOKED = `${MARK}revoked`;
/** The new token follows. */
const REPLACED_BY = `${MARK}replaced:`;

const bytesOf = (text: string): string => `pg_catalog.decode('${Buffer.from(text).toString("hex")}', 'hex')`;
const beginsWith = (text: string): string => `pg_catalog.substring(s.data, 1, ${text.length}) ${EQ} ${bytesOf(text)}`;

/** Why a session ended, by the data of its tombstone. */
export function reasonOf(data: Uint8Array): EndReason {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
  if (text === REVOKED) return "revoked";
  return text.startsWith(REPLACED_BY) ? "replaced" : "destroyed";
}

/**
 * The seed's table.
 *
 * `typed`: `@>` wants exactly timestamptz, the comparisons text and bytea. On a column of another type the statement fails
 * with 42883, undefined_function, before it does anything; otherwise a timestamp without time zone would shift every expiry
 * by the session's zone, and a text column would take the bytes as text.
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
    `CASE WHEN s.expiry ${LE} (current_timestamp ${PLUS} interval '30 seconds') AND ${beginsWith(REPLACED_BY)} ` +
    // A name is collated by bytes, and hands that on to what it is compared with: the index on the token would be of no use.
    `THEN pg_catalog.convert_from(pg_catalog.substring(s.data, ${REPLACED_BY.length + 1}), 'UTF8'::name) COLLATE pg_catalog."default" END`,
  entombed: `(s.data ${EQ} ''::bytea OR ${beginsWith(MARK)})`,
  // Whoever keeps no bytes for a live session may. A tombstone's expiry can lie ahead of a statement's time by as long as
  // that has waited for the row.
  ended:
    `(s.expiry ${LE} (current_timestamp ${PLUS} interval '30 seconds') AND ` +
    `(s.data ${EQ} ''::bytea OR ${beginsWith(MARK)}))`,
  typed:
    `pg_catalog.tstzrange(null::timestamptz, null::timestamptz) ${CONTAINS} s.expiry ` +
    `AND (s.data ${EQ} null::bytea) IS NULL AND (s.token ${EQ} null::text) IS NULL`,
  users: true,
  remedy: (table) => `Run store.migrate(), npx pgstore migrate, or: ${setupSql(table)}`,
};

/** What JSON may say and a jsonb column refuses. JSON.stringify writes a whole pair as it is, and only halves as escapes. */
const NOT_IN_JSONB = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i;

/**
 * The table of the package connect-pg-simple: `sid varchar, sess json` (or jsonb), `expire timestamp(6)` in the time zone
 * of the connection, as that package has it. A tombstone is the JSON null, which that package takes for no session.
 */
export const connectPgSimpleLayout: Layout = {
  token: "sid",
  data: "sess",
  expiry: "expire",
  write: (text) => `${text}::json`,
  read: (data) => `${data}::text`,
  size: (data) => `pg_catalog.octet_length(${data}::text)`,
  encode: (data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"),
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
  // Whatever its expiry is: that package's touch may have moved it.
  ended: `(s.sess::text ${EQ} 'null')`,
  typed: "true",
  users: false,
  remedy: ({ quoted }) =>
    `Name the one that connect-pg-simple has made, or run: CREATE TABLE ${quoted} (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL); CREATE INDEX ON ${quoted} (expire);`,
};

/**
 * Says whether a row that was read holds what was sent.
 *
 * @param sent - what `encode` made of the data
 */
export function holds({ decode }: Layout, row: Row, sent: string): boolean {
  const [one, other] = [decode(row["data"]), decode(sent)];
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
