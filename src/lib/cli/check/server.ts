import { monotonicNow, systemNow } from "../../core/time.ts";
import { count } from "../../core/format-number.ts";
import { GT, LE, MINUS, TIMES } from "../../postgres/sql/catalog.ts";
import { isFence, millisecondsOf } from "../../postgres/sql/statements.ts";
import type { Connection } from "../connection.ts";
import { error, type Finding, ok, warn } from "./finding.ts";
import { checkPooler, poolerUnknown } from "./pooler.ts";
import { lasting } from "../terminal.ts";

const OLDEST_MAJOR = 14;
const ROUND_TRIPS = 3;
/** Milliseconds: more than clocks that are set by the network differ. */
const CLOCK_TOLERANCE = 2000;
/** Milliseconds: an application's cleanup comes every few minutes. */
const OVERDUE = 3_600_000;
const MOST_COUNTED = 10_000;

/** Version, standby. */
export async function checkServer({ query }: Connection): Promise<Finding[]> {
  const [row] = await query(
    `SELECT pg_catalog.current_setting('server_version_num') AS version,
       pg_catalog.current_setting('server_version') AS name, pg_catalog.pg_is_in_recovery()::text AS standby`,
  );
  const { version, name, standby } = row ?? {};
  const findings = [
    Number(version) >= OLDEST_MAJOR * 10_000
      ? ok("server", `PostgreSQL ${name}`)
      : warn("server", `PostgreSQL ${name} is older than ${OLDEST_MAJOR}`, "use one that is still looked after"),
  ];
  if (standby === "true") {
    findings.push(
      error("server", "this is a standby, which can't be written to", "connect to the primary: target_session_attrs"),
    );
  }
  return findings;
}

/** How far the process's clock is from the database's, as sharp as the round trip allows. */
export async function checkClock({ query }: Connection): Promise<Finding> {
  let [offset, slack] = [0, Number.POSITIVE_INFINITY];
  for (let round = 1; round <= ROUND_TRIPS; round++) {
    const [before, begun] = [systemNow(), monotonicNow()];
    const [row] = await query(`SELECT ${millisecondsOf("pg_catalog.clock_timestamp()")} AS now`);
    const took = monotonicNow() - begun;
    if (took / 2 < slack) [offset, slack] = [Number(row?.["now"]) - before - took / 2, took / 2];
  }
  const text = `the database's clock is ${lasting(Math.abs(offset))} ${offset < 0 ? "behind" : "ahead of"} ours, give or take ${lasting(slack)}`;
  if (Math.abs(offset) - slack <= CLOCK_TOLERANCE) return ok("clock", text);
  return warn(
    "clock",
    text,
    "set both by NTP; sessions end by the database's clock in any case, but browsers and logs go by their own",
  );
}

/** Rows that have expired and wait for the cleanup. The table must have its index. */
export async function checkBacklog({ query, table, layout }: Connection): Promise<Finding> {
  const { expiry } = layout;
  const expired = `FROM ${table.quoted} s WHERE ${expiry} ${LE} current_timestamp AND ${expiry} ${GT} '-infinity' AND NOT ${isFence(layout, "s")}`;
  const [row] = await query(
    `SELECT (SELECT pg_catalog.count(*) FROM (SELECT ${expired} LIMIT ${MOST_COUNTED + 1}) e)::text AS count,
       (SELECT (extract(epoch from current_timestamp ${MINUS} ${expiry}::timestamptz) ${TIMES} 1000)::text
         ${expired} ORDER BY ${expiry} LIMIT 1) AS overdue`,
  );
  const [many, overdue] = [Number(row?.["count"]), Number(row?.["overdue"] ?? 0)];
  const number = many > MOST_COUNTED ? `more than ${count(MOST_COUNTED)}` : count(many);
  if (many === 0) return ok("expired", "no row has expired");
  const text = `${many === 1 ? "1 row has expired," : `${number} rows have expired, the oldest`} ${lasting(overdue)} ago`;
  if (overdue <= OVERDUE) return ok("expired", text);
  return warn(
    "expired",
    text,
    "npx pgstore cleanup; and see that an application with cleanupInterval above 0 runs, or a timer that does this",
  );
}

export async function checkConnection({ isServer, url }: Connection): Promise<Finding> {
  if (!isServer) return ok("pooler", "none: the database is embedded");
  try {
    return await checkPooler(url);
  } catch {
    return poolerUnknown();
  }
}
