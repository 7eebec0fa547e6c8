import { bytes, count, durationText } from "../../core/format-number.ts";
import { type Query, textOf } from "../drivers/driver.ts";
import { INDEX_STATS, TABLE_STATS } from "../sql/operator.ts";
import { error, type Finding, ok, warn } from "./finding.ts";

const MEBIBYTE = 1024 * 1024;
/** A table or an index that exceeds the needs of its rows by both of these is bloated. */
const MIN_BLOAT_FACTOR = 2;
const MIN_BLOAT_BYTES = 20 * MEBIBYTE;
/** Dead rows are too many when they reach both this number and this share of all rows. */
const MIN_DEAD_ROWS = 10_000;
const MIN_DEAD_SHARE = 0.2;
/** Autovacuum doesn't keep up with this many times the dead rows that start it. */
const MAX_THRESHOLD_FACTOR = 2;
const MAX_TRANSACTION_MS = 3_600_000;
/** Something blocks autovacuum when rows reach this many times the age at which it must freeze them. */
const MAX_AGE_FACTOR = 1.5;
/** Bytes of a row's header, of an index entry's, and of the pointer to either. */
const ROW_HEADER_BYTES = 24;
const INDEX_HEADER_BYTES = 8;
const POINTER_BYTES = 4;
/** Fill of an index's pages when keys come in random order. */
const INDEX_FILL = 0.66;

/** PostgreSQL's statistics of a table, which are known without reading it. */
export interface TableStats {
  /** Rows as of the last vacuum or analyze. -1: there was none yet. */
  rows: number;
  /** Partitions that hold the rows. 1: it is not partitioned. */
  parts: number;
  /** Size of the table without indexes and TOAST. */
  bytes: number;
  /** Average bytes of a row's columns. 0: not analysed. */
  rowWidth: number;
  fillfactor: number;
  dead: number;
  /** Dead rows at which autovacuum starts. */
  threshold: number;
  isAutovacuumOn: boolean;
  /** Undefined: no vacuum is on record. */
  sinceVacuumMs: number | undefined;
  /** Transactions since the oldest row that is not frozen. */
  age: number;
  freezeMaxAge: number;
  /** Age of the oldest open transaction, which keeps dead rows from being removed. 0 without such a transaction. */
  oldestTransactionMs: number;
  indexes: IndexStats[];
}

export interface IndexStats {
  name: string;
  bytes: number;
  /** -1: unknown. */
  rows: number;
  /** Average bytes of its columns. 0: not analysed. */
  width: number;
  columns: string;
}

/** Reads the statistics. @param table - quoted @returns undefined when there is no such table */
export async function readTableStats(query: Query, table: string): Promise<TableStats | undefined> {
  const [row] = await query(TABLE_STATS, [table]);
  if (row?.["rows"] == null) return undefined;
  const number = (column: string): number => Number(textOf(row, column));
  return {
    rows: number("rows"),
    parts: number("parts"),
    bytes: number("bytes"),
    rowWidth: number("width"),
    fillfactor: number("fillfactor"),
    dead: number("dead"),
    threshold: number("threshold"),
    isAutovacuumOn: row["autovacuum"] === "true",
    sinceVacuumMs: row["vacuumed"] == null ? undefined : number("vacuumed"),
    age: number("age"),
    freezeMaxAge: number("freeze"),
    oldestTransactionMs: number("oldest"),
    indexes: (await query(INDEX_STATS, [table])).map((index) => ({
      name: textOf(index, "name"),
      bytes: Number(index["bytes"]),
      rows: Number(index["rows"]),
      width: Number(index["width"]),
      columns: textOf(index, "columns"),
    })),
  };
}

const aligned = (length: number): number => Math.ceil(length / 8) * 8;

/**
 * Judges a table by its statistics.
 *
 * @param table - quoted
 * @param problems - the known problems of its indexes
 */
export function judgeTable(table: string, stats: TableStats, problems: Finding[] = []): Finding[] {
  return [
    ...judgeIndexes(stats.indexes, problems),
    judgeBloat(table, stats),
    judgeDeadRows(table, stats),
    ...judgeAutovacuum(table, stats),
  ];
}

function judgeIndexes(indexes: IndexStats[], problems: Finding[]): Finding[] {
  const bloated = indexes.flatMap(({ name, columns, rows, width, bytes: size }) => {
    if (rows <= 0 || width <= 0) return [];
    const needed = (rows * (aligned(INDEX_HEADER_BYTES + width) + POINTER_BYTES)) / INDEX_FILL;
    if (!isBloated(size, needed)) return [];
    const text = `index ${name} (${columns}) has ${bytes(size)} but needs about ${bytes(needed)}`;
    return warn("indexes", text, `REINDEX INDEX CONCURRENTLY ${name}`, { bytes: size, neededBytes: needed, rows });
  });
  const findings = [...problems, ...bloated];
  if (findings.length > 0) return findings;
  const sum = indexes.reduce((total, index) => total + index.bytes, 0);
  const figures = { indexes: indexes.length, bytes: sum };
  return [ok("indexes", `${indexes.length} indexes, ${bytes(sum)} in all`, figures)];
}

function judgeBloat(table: string, { rows, rowWidth, fillfactor, bytes: size }: TableStats): Finding {
  if (rows < 0 || rowWidth === 0) {
    const text = `the table has ${bytes(size)}. Run ANALYZE ${table} to learn how much of it is in use`;
    return ok("bloat", text, { bytes: size });
  }
  const needed = (rows * (aligned(ROW_HEADER_BYTES + rowWidth) + POINTER_BYTES)) / (fillfactor / 100);
  const figures = { bytes: size, neededBytes: needed, rows };
  if (!isBloated(size, needed)) {
    return ok("bloat", `the table has ${bytes(size)} for about ${count(Math.round(rows))} rows`, figures);
  }
  return warn(
    "bloat",
    `the table has ${bytes(size)} but needs about ${bytes(needed)}`,
    `new rows reuse the space. To return it to the disk, run pg_repack, or VACUUM FULL ${table}, which locks the table while it runs`,
    figures,
  );
}

function isBloated(size: number, needed: number): boolean {
  return size > MIN_BLOAT_FACTOR * needed && size - needed > MIN_BLOAT_BYTES;
}

function judgeDeadRows(table: string, { dead, rows }: TableStats): Finding {
  const share = dead / Math.max(1, dead + Math.max(0, rows));
  const percent = Math.round(share * 100);
  const text = `${count(dead)} dead rows, ${percent} % of all`;
  const figures = { deadRows: dead, deadPercent: percent };
  if (dead < MIN_DEAD_ROWS || share < MIN_DEAD_SHARE) return ok("dead rows", text, figures);
  return warn("dead rows", text, `VACUUM (ANALYZE) ${table}. If they stay, look for long transactions`, figures);
}

function judgeAutovacuum(table: string, stats: TableStats): Finding[] {
  const { parts, dead, threshold, sinceVacuumMs, isAutovacuumOn, oldestTransactionMs, age, freezeMaxAge } = stats;
  // Only the partitions of a partitioned table take such settings.
  const each = parts > 1 ? `each of the ${parts} partitions of ${table}` : table;
  const last = sinceVacuumMs === undefined ? "never vacuumed" : `last vacuumed ${durationText(sinceVacuumMs)} ago`;
  const figures = {
    deadRows: dead,
    thresholdRows: threshold,
    ...(sinceVacuumMs === undefined ? {} : { sinceVacuumMs }),
  };
  const findings: Finding[] = [];
  if (!isAutovacuumOn) {
    const remedy = `ALTER TABLE ${each} RESET (autovacuum_enabled), and autovacuum = on, track_counts = on in postgresql.conf`;
    findings.push(error("autovacuum", `autovacuum is off for the table (${last})`, remedy, figures));
  } else if (dead > MIN_DEAD_ROWS && dead > MAX_THRESHOLD_FACTOR * threshold) {
    findings.push(
      warn(
        "autovacuum",
        `autovacuum does not keep up: ${count(dead)} dead rows, though it should start at ${count(Math.round(threshold))} (${last})`,
        `ALTER TABLE ${each} SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0.05)`,
        figures,
      ),
    );
  }
  if (oldestTransactionMs > MAX_TRANSACTION_MS) {
    findings.push(
      warn(
        "autovacuum",
        `a transaction has been open for ${durationText(oldestTransactionMs)} and keeps dead rows from being removed`,
        "end it (SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start), and set idle_in_transaction_session_timeout",
        { oldestTransactionMs },
      ),
    );
  }
  if (age > MAX_AGE_FACTOR * freezeMaxAge) {
    const text = `the oldest rows are ${count(age)} transactions old, and freezing is due at ${count(freezeMaxAge)}`;
    const remedy = `VACUUM (FREEZE) ${table}, and find out what blocks autovacuum`;
    findings.push(error("autovacuum", text, remedy, { age, freezeMaxAge }));
  }
  if (findings.length > 0) return findings;
  return [ok("autovacuum", `on (${last}), starts at ${count(Math.round(threshold))} dead rows`, figures)];
}
