import { EQ, GT, LE } from "../../postgres/sql/catalog.ts";
import { type Row, textOf } from "../../postgres/drivers/driver.ts";
import { millisecondsOf } from "../../postgres/sql/statements.ts";
import { arrayText, readInstant } from "../../postgres/sql/text-format.ts";
import type { Connection, Database } from "../connection.ts";
import type { ImportSource, SkipReason } from "./source.ts";

/** What has become of the rows of another table: each is counted once besides `read`. */
export interface ImportCounts {
  read: number;
  written: number;
  /** In pgstore's table already, from an earlier import or newer; or ended there. Left as they are. */
  present: number;
  expired: number;
  /** By the reason. */
  skipped: Partial<Record<SkipReason, number>>;
  /** Of those written or present, the ones that were then found in pgstore's table. */
  found: number;
}

/** Rows that are read at once at first; then as many as make up some length, whatever the size of a row. */
const FIRST_PAGE = 100;
const LARGEST_PAGE = 1000;
const PAGE_LENGTH = 1 << 20;

/**
 * Copies what lives in another table, a page at a time. What is in pgstore's table stays as it is, so it can be stopped and
 * made again.
 *
 * @param table - the other one, quoted
 * @param counts - kept up to date, also when it is stopped
 */
export async function importRows(
  from: Database,
  table: string,
  { layout, convert }: ImportSource,
  to: Connection,
  counts: ImportCounts,
  onPage: () => void,
): Promise<void> {
  const { token, data, expiry, ended } = layout;
  const page =
    `SELECT s.${token} AS token, ${layout.read(`s.${data}`)} AS data, ${millisecondsOf(`s.${expiry}::timestamptz`)} AS expiry, ` +
    `(s.${expiry} ${LE} current_timestamp OR ${ended})::text AS expired FROM ${table} s ` +
    `WHERE s.${token} ${GT} $1::text ORDER BY s.${token} LIMIT $2::text::int`;
  const take = async (row: Row): Promise<string | undefined> => {
    if (row["expired"] === "true") {
      counts.expired++;
      return undefined;
    }
    const bytes = layout.decode(row["data"]);
    const ends = readInstant(row["expiry"]);
    const converted = convert(textOf(row, "token"), bytes, ends);
    if ("skipped" in converted) {
      counts.skipped[converted.skipped] = (counts.skipped[converted.skipped] ?? 0) + 1;
      return undefined;
    }
    if (await to.store.create(converted.key, bytes, ends)) counts.written++;
    else counts.present++;
    return converted.key;
  };
  let last = "";
  let size = FIRST_PAGE;
  for (;;) {
    const rows = await from.query(page, [last, String(size)]);
    counts.read += rows.length;
    const keys = (await Promise.all(rows.map(take))).filter((key) => key !== undefined);
    counts.found += await countFound(to, keys);
    onPage();
    if (rows.length < size) return;
    last = textOf(rows.at(-1), "token");
    const length = rows.reduce((sum, row) => sum + textOf(row, "data").length, 0);
    size = Math.min(LARGEST_PAGE, Math.max(1, Math.floor((PAGE_LENGTH * rows.length) / Math.max(1, length))));
  }
}

async function countFound({ query, table }: Connection, keys: string[]): Promise<number> {
  if (keys.length === 0) return 0;
  const sql = `SELECT pg_catalog.count(*)::text AS count FROM ${table.quoted} WHERE token ${EQ} ANY ($1::text[])`;
  const [row] = await query(sql, [arrayText(keys)]);
  return Number(row?.["count"]);
}
