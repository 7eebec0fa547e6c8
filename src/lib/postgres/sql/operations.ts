import { FENCE_ID } from "../../core/token.ts";
import { MAX_BATCH_BYTES } from "../execution/batch.ts";
import { EQ, GT, LE, OVER } from "./catalog.ts";
import {
  dataInBounds,
  entomb,
  expiryText,
  fenceIn,
  foundText,
  instant,
  isFence,
  isFree,
  joinedBy,
  liveRow,
  millisecondsOf,
  prepared,
  rememberedRow,
  type Statement,
} from "./fragments.ts";
import type { Layout } from "./layout.ts";
import { type LoginKind, loginOperations } from "./logins.ts";
import { type Find, type Operation, shared, type WhenLost } from "./operation.ts";
import type { TableName } from "./table-name.ts";

/** The operations that write. */
export type WriteKind =
  "save" | "create" | "replace" | "touch" | "upsert" | "update" | "setExpiry" | "end" | "delete" | "renew" | LoginKind;

/** All operations of a store. */
export type Operations = { find: Find } & Record<WriteKind, Operation>;

/**
 * Makes the operations of the request path for a table.
 *
 * Each is a single statement keyed by id, so it works in PgBouncer's transaction mode and on Citus. Parameters and results
 * are text, independent of the client's parsers: ids verbatim, bytes as base64, instants as milliseconds since 1970. The time
 * is the database's `current_timestamp`.
 *
 * A shared statement takes an array for each column. The rows of a write come sorted by id and are joined in that
 * order, so that two of them don't deadlock.
 *
 * @param grace - milliseconds for which an ended session is remembered
 */
export function operationsFor(name: TableName, layout: Layout, grace: number): Operations {
  const table = name.quoted;
  const { token, data, expiry, entombed, ended, typed, write } = layout;
  const joined = joinedBy(token);
  const live = liveRow(layout);
  const returning = `RETURNING s.${token} AS token`;

  // A look-up also finds the fence, if there is one, by a second key in the same index.
  const isKnown = `s.${expiry} ${GT} current_timestamp OR ${rememberedRow(layout, grace)}`;
  const known = `(${isKnown}${layout.users ? ` OR ${isFence("s")}` : ""}) AND ${typed}`;
  const [alone, together] = layout.users
    ? [`ANY (ARRAY[$1::text, '${FENCE_ID}'])`, `pg_catalog.array_append($1::text[], '${FENCE_ID}')`]
    : ["$1::text", "$1::text[]"];
  const now = millisecondsOf("current_timestamp");
  const size = layout.size(`s.${data}`);
  const share = `(${MAX_BATCH_BYTES} ${OVER} pg_catalog.cardinality($1::text[]))`;
  const read = layout.read(`s.${data}`);
  const findIn = (contents: string): Statement =>
    prepared(
      `SELECT ${foundText("f")} AS found, ${now} AS now FROM (SELECT v.n AS n, ${expiryText(layout)} AS expiry, ${ended} AS ended, ${contents} AS data ` +
        `FROM ${table} s, ROWS FROM (pg_catalog.unnest(${together})) WITH ORDINALITY AS v(token, n) WHERE ${joined} AND ${known}) f`,
    );

  const row = ["token", "data", "expiry"];
  const insert = (rows: string): string =>
    `INSERT INTO ${table} AS s (${token}, ${data}, ${expiry}) ` +
    `SELECT v.token, ${write("v.data")}, ${instant("v.expiry")} FROM ${rows} ON CONFLICT (${token})`;
  const overwrite = `DO UPDATE SET ${data} = EXCLUDED.${data}, ${expiry} = EXCLUDED.${expiry}`;
  const inserted = `${returning}, (${typed})::text AS typed`;
  const update = (changes: string, rows: string, condition: string, told = ""): string =>
    `UPDATE ${table} s SET ${changes} FROM ${rows} WHERE ${joined} AND ${condition} ${returning}${told}`;
  const replaced = `${data} = ${write("v.data")}, ${expiry} = ${instant("v.expiry")}`;
  const fence = `, ${fenceIn(table, layout)} AS fence`;

  /** An update that can also record when the session was last seen. */
  const noting = (columns: string[], whenLost: WhenLost, changes: string, condition: string): Operation => {
    const updating = (all: string): Operation =>
      shared(columns, whenLost, (rows) => update(all, rows, condition, fence));
    const plain = updating(changes);
    return layout.users ? { ...plain, noting: updating(`${changes}, last_seen = current_timestamp`).statement } : plain;
  };

  return {
    find: {
      columns: ["token"],
      isShared: true,
      // Leaves out the data of a row that is longer than its share of one answer.
      statement: findIn(`CASE WHEN ${size} ${LE} ${share} THEN ${read} END`),
      large: findIn(dataInBounds(layout)),
      single: prepared(
        `SELECT s.${token} AS token, ${read} AS data, ${expiryText(layout)} AS expiry, (${ended})::text AS ended, ${now} AS now FROM ${table} s WHERE s.${token} ${EQ} ${alone} AND ${known}`,
      ),
      whenLost: "repeat",
    },
    save: shared(row, "fail", (rows) => `${insert(rows)} ${overwrite} ${inserted}`),
    create: {
      ...shared(row, "look", (rows) => `${insert(rows)} DO NOTHING ${inserted}`),
      counts: "created",
    },
    replace: noting(
      ["token", "previous", "data", "expiry"],
      "repeat and look",
      replaced,
      `s.${data} ${EQ} ${write("v.previous")} AND ${live}`,
    ),
    // A digest saves sending the bytes. "" accepts any bytes.
    touch: noting(
      ["token", "expiry", "digest"],
      "repeat",
      `${expiry} = greatest(s.${expiry}, ${instant("v.expiry")})`,
      `(v.digest ${EQ} '' OR ${layout.digest} ${EQ} pg_catalog.decode(v.digest, 'base64')) AND ${live}`,
    ),
    // The last write wins, but never over a session that was ended meanwhile.
    upsert: shared(row, "repeat", (rows) => `${insert(rows)} ${overwrite} WHERE NOT (${entombed}) ${inserted}`),
    update: shared(row, "repeat", (rows) => update(replaced, rows, live)),
    setExpiry: shared(["token", "expiry"], "repeat", (rows) =>
      update(`${expiry} = ${instant("v.expiry")}`, rows, live),
    ),
    end: {
      ...shared(["token"], "repeat", (rows) =>
        update(entomb(layout, layout.destroyed), rows, `NOT ${ended} AND ${typed}`),
      ),
      counts: "ended",
    },
    delete: shared(["token"], "repeat", (rows) => `DELETE FROM ${table} s USING ${rows} WHERE ${joined} ${returning}`),
    // A taken new id must not end the old row. The statement looks for it first, as an error would abort a transaction
    // of the application. An id taken at the same moment fails on the primary key (23505).
    renew: {
      columns: ["token", "new_token", "previous", "data", "expiry"],
      isShared: false,
      statement: prepared(
        `WITH ended AS (UPDATE ${table} s SET ${entomb(layout, layout.replacedBy("$2::text"))} ` +
          `WHERE s.${token} ${EQ} $1::text AND s.${data} ${EQ} ${write("$3::text")} AND ${live} AND ${isFree(table, token, "$2::text")} RETURNING 1) ` +
          `INSERT INTO ${table} AS s (${token}, ${data}, ${expiry}) ` +
          `SELECT $2::text, ${write("$4::text")}, ${instant("$5::text")} FROM ended ${returning}`,
      ),
      whenLost: "repeat and look",
    },
    ...loginOperations(name),
  };
}
