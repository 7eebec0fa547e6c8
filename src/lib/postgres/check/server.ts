import { count, durationText } from "../../core/format-number.ts";
import { systemNow } from "../../core/time.ts";
import type { Query } from "../drivers/driver.ts";
import type { Layout } from "../sql/layout.ts";
import { backlogOf, CLOCK, SERVER } from "../sql/operator.ts";
import type { TableName } from "../sql/table-name.ts";
import { error, type Finding, ok, warn } from "./finding.ts";

const MIN_MAJOR_VERSION = 14;
const CLOCK_ROUND_TRIPS = 3;
/** Clocks that are set by NTP differ by less. */
const MAX_CLOCK_OFFSET_MS = 2000;
/** An application's cleanup runs every few minutes. */
const MAX_OVERDUE_MS = 3_600_000;
const MAX_COUNTED_ROWS = 10_000;

/** Checks the server's version, and that it is not a standby. */
export async function checkServer(query: Query): Promise<Finding[]> {
  const [row] = await query(SERVER);
  const { version, name, standby } = row ?? {};
  const figures = { version: Number(version) };
  const findings = [
    Number(version) >= MIN_MAJOR_VERSION * 10_000
      ? ok("server", `PostgreSQL ${name}`, figures)
      : warn(
          "server",
          `PostgreSQL ${name} is older than ${MIN_MAJOR_VERSION}`,
          "upgrade to a supported version",
          figures,
        ),
  ];
  if (standby === "true") {
    findings.push(
      error("server", "this is a standby, which is read-only", "connect to the primary: target_session_attrs"),
    );
  }
  return findings;
}

/** Compares this process's clock with the database's, as exactly as the shortest of some round trips allows. */
export async function checkClock(query: Query): Promise<Finding> {
  let [offset, slack] = [0, Number.POSITIVE_INFINITY];
  for (let round = 1; round <= CLOCK_ROUND_TRIPS; round++) {
    const [before, begun] = [systemNow(), performance.now()];
    const [row] = await query(CLOCK);
    const took = performance.now() - begun;
    if (took / 2 < slack) [offset, slack] = [Number(row?.["now"]) - before - took / 2, took / 2];
  }
  const text = `the database's clock is ${durationText(Math.abs(offset))} ${offset < 0 ? "behind" : "ahead of"} this machine's, give or take ${durationText(slack)}`;
  const figures = { offsetMs: offset, uncertaintyMs: slack };
  if (Math.abs(offset) - slack <= MAX_CLOCK_OFFSET_MS) return ok("clock", text, figures);
  return warn(
    "clock",
    text,
    "synchronise both by NTP. Sessions expire by the database's clock, but cookies and logs use this machine's",
    figures,
  );
}

/** Checks for expired rows that no cleanup has removed. Without an index on expiry it reads the whole table. */
export async function checkBacklog(query: Query, table: TableName, layout: Layout): Promise<Finding> {
  const [row] = await query(backlogOf(table, layout, MAX_COUNTED_ROWS + 1));
  const [rows, oldestMs] = [Number(row?.["count"]), Number(row?.["overdue"] ?? 0)];
  if (rows === 0) return ok("expired", "no row has expired", { rows });
  const number = rows > MAX_COUNTED_ROWS ? `more than ${count(MAX_COUNTED_ROWS)}` : count(rows);
  const text = `${rows === 1 ? "1 row has expired," : `${number} rows have expired, the oldest`} ${durationText(oldestMs)} ago`;
  const figures = { rows, oldestMs };
  if (oldestMs <= MAX_OVERDUE_MS) return ok("expired", text, figures);
  return warn(
    "expired",
    text,
    "run npx pgstore cleanup, and make sure that a timer or an application with cleanupInterval above 0 does so regularly",
    figures,
  );
}
