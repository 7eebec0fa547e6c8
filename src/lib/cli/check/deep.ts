import { EQ, GT, leavesOf, OVER, regclass, TIMES } from "../../postgres/sql/catalog.ts";
import { textOf } from "../../postgres/drivers/driver.ts";
import { bytes, count } from "../../core/format-number.ts";
import type { Connection } from "../connection.ts";
import { LONG_TIME } from "../connection.ts";
import { type Finding, ok, warn } from "./finding.ts";
import { Progress } from "../progress.ts";

const PAGE = 10_000;

const COUNTS = ["rows", "live", "endless", "past", "userless", "empty", "largest"] as const;
type Counts = Record<(typeof COUNTS)[number], number>;

/** Reads the whole table, a page at a time. */
export async function checkDeep(
  { query, table }: Connection,
  hasUsers: boolean,
  rows: number,
  signal: AbortSignal,
): Promise<Finding[]> {
  const user = hasUsers ? "user_id" : "NULL::text AS user_id";
  const page = `SELECT pg_catalog.count(*)::text AS rows, pg_catalog.max(token) AS last,
       pg_catalog.count(*) FILTER (WHERE expiry ${GT} current_timestamp)::text AS live,
       pg_catalog.count(*) FILTER (WHERE expiry ${EQ} 'infinity')::text AS endless,
       pg_catalog.count(*) FILTER (WHERE expiry ${EQ} '-infinity')::text AS past,
       pg_catalog.count(*) FILTER (WHERE expiry ${GT} current_timestamp AND user_id IS NULL)::text AS userless,
       pg_catalog.count(*) FILTER (WHERE expiry ${GT} current_timestamp AND size ${EQ} 0)::text AS empty,
       COALESCE(pg_catalog.max(size), 0)::text AS largest
     FROM (SELECT token, expiry, pg_catalog.octet_length(data) AS size, ${user} FROM ${table.quoted}
       WHERE token ${GT} $1::text ORDER BY token LIMIT ${PAGE}) p`;
  const sum: Counts = { rows: 0, live: 0, endless: 0, past: 0, userless: 0, empty: 0, largest: 0 };
  const progress = new Progress("check", Math.max(0, rows));
  try {
    for (let last = ""; ;) {
      const [row] = await query(page, [last], LONG_TIME);
      for (const name of COUNTS) {
        const value = Number(textOf(row, name));
        sum[name] = name === "largest" ? Math.max(sum.largest, value) : sum[name] + value;
      }
      progress.update(sum.rows);
      if (Number(row?.["rows"]) < PAGE) break;
      last = textOf(row, "last");
      signal.throwIfAborted();
    }
  } finally {
    progress.finish();
  }
  return [...judgeCounts(table.quoted, sum, hasUsers), await checkTuples(query, table.quoted)];
}

function judgeCounts(table: string, counts: Counts, hasUsers: boolean): Finding[] {
  const { live, endless, past, userless, empty } = counts;
  const of = hasUsers ? `, ${count(live - userless)} of them of users` : "";
  const findings = [
    ok("rows", `${count(counts.rows)} rows, ${count(live)} live${of}; the largest has ${bytes(counts.largest)}`),
  ];
  const odd = (many: number, what: string, condition: string): void => {
    if (many > 0) findings.push(warn("rows", `${what}: ${count(many)}`, `DELETE FROM ${table} WHERE ${condition}`));
  };
  odd(endless, "rows that never expire", "expiry = 'infinity'");
  odd(past, "rows with -infinity for their expiry, which no application of ours writes", "expiry = '-infinity'");
  odd(
    empty,
    "live rows that hold nothing, which no application of ours writes",
    "data = '' AND expiry > current_timestamp",
  );
  return findings;
}

/** SQL of the percentage of the table's bytes that these are. */
const share = (bytes: string): string =>
  `pg_catalog.round((100 ${TIMES} pg_catalog.sum(${bytes})) ${OVER} greatest(pg_catalog.sum(p.table_len), 1), 1)::text`;

/** What the extension pgstattuple counts, where it is there and we may. */
async function checkTuples(query: Connection["query"], table: string): Promise<Finding> {
  const [row] = await query(
    `SELECT (SELECT pg_catalog.quote_ident(n.nspname::text) FROM pg_catalog.pg_extension e
       JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} e.extnamespace WHERE e.extname ${EQ} 'pgstattuple') AS schema`,
  );
  const schema = row?.["schema"];
  if (schema == null) return ok("pgstattuple", "not installed, so dead rows are as PostgreSQL estimates them");
  try {
    const [found] = await query(
      `SELECT ${share("p.dead_tuple_len")} AS dead, ${share("p.approx_free_space")} AS free
       FROM (${leavesOf(regclass("$1::text"))}) l(oid) CROSS JOIN LATERAL ${schema}.pgstattuple_approx(l.oid::regclass) p`,
      [table],
      LONG_TIME,
    );
    return ok("pgstattuple", `${found?.["dead"]} % of the table are dead rows, ${found?.["free"]} % free`);
  } catch {
    return warn("pgstattuple", "it is installed, but we may not use it", "GRANT pg_stat_scan_tables to this role");
  }
}
