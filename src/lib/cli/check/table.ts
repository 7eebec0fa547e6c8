import { bytes, count } from "../../core/format-number.ts";
import { error, type Finding, ok, warn } from "./finding.ts";
import type { IndexFigures, TableFigures } from "./table-stats.ts";
import { lasting } from "../terminal.ts";

const MEBIBYTE = 1024 * 1024;
/** So much more than the rows need, and at least so much, is bloat. */
const BLOAT = 2;
const LEAST_BLOAT = 20 * MEBIBYTE;
/** Dead rows that are worth a word, and their share of all. */
const LEAST_DEAD = 10_000;
const MOST_DEAD = 0.2;
/** So many times its threshold says that autovacuum doesn't keep up. */
const LATE = 2;
const LONG_TRANSACTION = 3_600_000;
/** Of the age at which autovacuum must come: then something keeps it away. */
const OLD = 1.5;
/** Bytes of a row's header and of its pointer; those of an index are 8 and 4. */
const ROW_HEADER = 24;
const INDEX_HEADER = 8;
const POINTER = 4;
/** How full the pages of an index are when keys come in any order. */
const INDEX_FILL = 0.66;

const aligned = (length: number): number => Math.ceil(length / 8) * 8;

/**
 * What the figures of a table say of it.
 *
 * @param table - quoted
 * @param wrong - what is wrong with its indexes
 */
export function judgeTable(table: string, figures: TableFigures, wrong: Finding[] = []): Finding[] {
  return [
    ...judgeIndexes(figures.indexes, wrong),
    bloatOf(table, figures),
    deadRows(table, figures),
    ...autovacuum(table, figures),
  ];
}

function judgeIndexes(indexes: IndexFigures[], wrong: Finding[]): Finding[] {
  const bloated = indexes.flatMap((index) => {
    const { name, rows, width } = index;
    const needed = rows > 0 && width > 0 ? (rows * (aligned(INDEX_HEADER + width) + POINTER)) / INDEX_FILL : undefined;
    if (needed === undefined || !isBloated(index.bytes, needed)) return [];
    const text = `index ${name} (${index.columns}) has ${bytes(index.bytes)} where about ${bytes(needed)} would do`;
    return warn("indexes", text, `REINDEX INDEX CONCURRENTLY ${name}`);
  });
  const findings = [...wrong, ...bloated];
  if (findings.length > 0) return findings;
  const sum = indexes.reduce((total, index) => total + index.bytes, 0);
  return [ok("indexes", `${indexes.length} indexes, ${bytes(sum)} in all`)];
}

function bloatOf(table: string, { rows, rowWidth, fillfactor, bytes: size }: TableFigures): Finding {
  if (rows < 0 || rowWidth === 0) {
    return ok("bloat", `the table has ${bytes(size)}; how much of it is in use is known after ANALYZE ${table}`);
  }
  const needed = (rows * (aligned(ROW_HEADER + rowWidth) + POINTER)) / (fillfactor / 100);
  if (!isBloated(size, needed))
    return ok("bloat", `the table has ${bytes(size)} for about ${count(Math.round(rows))} rows`);
  return warn(
    "bloat",
    `the table has ${bytes(size)} where about ${bytes(needed)} would do`,
    `new rows use the room; to give it back: pg_repack, or VACUUM FULL ${table}, which locks the table for its time`,
  );
}

function isBloated(size: number, needed: number): boolean {
  return size > BLOAT * needed && size - needed > LEAST_BLOAT;
}

function deadRows(table: string, { dead, rows }: TableFigures): Finding {
  const share = dead / Math.max(1, dead + Math.max(0, rows));
  const text = `${count(dead)} dead rows, ${Math.round(share * 100)} % of all`;
  if (dead < LEAST_DEAD || share < MOST_DEAD) return ok("dead rows", text);
  return warn("dead rows", text, `VACUUM (ANALYZE) ${table}; if they stay, look for long transactions`);
}

function autovacuum(table: string, figures: TableFigures): Finding[] {
  const { parts, dead, threshold, sinceVacuum, isAutovacuumOn, oldestTransaction, age, freezeMaxAge } = figures;
  // Of a partitioned table only the partitions take such settings.
  const each = parts > 1 ? `each of the ${parts} partitions of ${table}` : table;
  const last = sinceVacuum === undefined ? "not vacuumed so far" : `vacuumed ${lasting(sinceVacuum)} ago`;
  const findings: Finding[] = [];
  if (!isAutovacuumOn) {
    const remedy = `ALTER TABLE ${each} RESET (autovacuum_enabled), and autovacuum = on, track_counts = on in postgresql.conf`;
    findings.push(error("autovacuum", `autovacuum is off for the table, ${last}`, remedy));
  } else if (dead > LEAST_DEAD && dead > LATE * threshold) {
    findings.push(
      warn(
        "autovacuum",
        `autovacuum does not keep up: ${count(dead)} dead rows, and it should come at ${count(Math.round(threshold))}; ${last}`,
        `ALTER TABLE ${each} SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.05)`,
      ),
    );
  }
  if (oldestTransaction > LONG_TRANSACTION) {
    findings.push(
      warn(
        "autovacuum",
        `a transaction is open for ${lasting(oldestTransaction)}, and keeps dead rows from being removed`,
        "end it; SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start, and set idle_in_transaction_session_timeout",
      ),
    );
  }
  if (age > OLD * freezeMaxAge) {
    const text = `the oldest rows are ${count(age)} transactions old, and freezing is due at ${count(freezeMaxAge)}`;
    findings.push(error("autovacuum", text, `VACUUM (FREEZE) ${table}, and find out what keeps autovacuum from it`));
  }
  return findings.length > 0
    ? findings
    : [ok("autovacuum", `on, ${last}; comes at ${count(Math.round(threshold))} dead rows`)];
}
