import { bytes, count } from "../../core/format-number.ts";
import { type Query, textOf } from "../drivers/driver.ts";
import { countPage, MAX_SCAN_MS, PGSTATTUPLE, tuplesBy } from "../sql/operator.ts";
import type { TableName } from "../sql/table-name.ts";
import { type DiagnoseOptions, type Finding, ok, warn } from "./finding.ts";

const PAGE_ROWS = 10_000;

const COUNTS = ["rows", "live", "endless", "past", "userless", "empty", "largest"] as const;
type Counts = Record<(typeof COUNTS)[number], number>;

/** Reads every row, a page at a time. @param total - the estimated number of rows */
export async function checkRows(
  query: Query,
  table: TableName,
  hasUsers: boolean,
  total: number,
  { signal, onProgress }: DiagnoseOptions,
): Promise<Finding[]> {
  const page = countPage(table, hasUsers, PAGE_ROWS);
  const sum: Counts = { rows: 0, live: 0, endless: 0, past: 0, userless: 0, empty: 0, largest: 0 };
  for (let last = ""; ;) {
    signal?.throwIfAborted();
    const [row] = await query(page, [last], MAX_SCAN_MS);
    for (const name of COUNTS) {
      const value = Number(textOf(row, name));
      sum[name] = name === "largest" ? Math.max(sum.largest, value) : sum[name] + value;
    }
    onProgress?.({ rows: sum.rows, total: Math.max(0, total) });
    if (Number(row?.["rows"]) < PAGE_ROWS) break;
    last = textOf(row, "last");
  }
  return [...judgeCounts(table.quoted, sum, hasUsers), await checkTuples(query, table.quoted)];
}

function judgeCounts(table: string, counts: Counts, hasUsers: boolean): Finding[] {
  const { rows, live, endless, past, userless, empty, largest } = counts;
  const loggedIn = hasUsers ? `, ${count(live - userless)} logged in` : "";
  const users = hasUsers ? { loggedIn: live - userless } : {};
  const figures = { rows, live, ...users, largestBytes: largest };
  const findings = [
    ok(
      "rows",
      `${count(rows)} rows, ${count(live)} live${loggedIn}. The largest has ${bytes(largest)} of data`,
      figures,
    ),
  ];
  const odd = (many: number, what: string, condition: string): void => {
    if (many === 0) return;
    findings.push(warn("rows", `${what}: ${count(many)}`, `DELETE FROM ${table} WHERE ${condition}`, { rows: many }));
  };
  odd(endless, "rows that never expire", "expiry = 'infinity'");
  odd(past, "rows whose expiry is -infinity, which pgstore never writes", "expiry = '-infinity'");
  odd(empty, "live rows without data, which pgstore never writes", "data = '' AND expiry > current_timestamp");
  return findings;
}

/** Asks the extension pgstattuple, where it is installed and this role may use it. */
async function checkTuples(query: Query, table: string): Promise<Finding> {
  const [row] = await query(PGSTATTUPLE);
  const schema = row?.["schema"];
  if (schema == null) return ok("pgstattuple", "not installed, so the number of dead rows is PostgreSQL's estimate");
  try {
    const [found] = await query(tuplesBy(schema), [table], MAX_SCAN_MS);
    const [dead, free] = [textOf(found, "dead"), textOf(found, "free")];
    const figures = { deadPercent: Number(dead), freePercent: Number(free) };
    return ok("pgstattuple", `${dead} % of the table is dead rows, ${free} % is free`, figures);
  } catch {
    return warn("pgstattuple", "installed, but this role may not use it", "GRANT pg_stat_scan_tables to this role");
  }
}
