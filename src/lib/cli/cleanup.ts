import { counted } from "../core/format-number.ts";
import { parseDuration } from "../core/options.ts";
import { LE } from "../postgres/sql/catalog.ts";
import { outlivedRow } from "../postgres/sql/statements.ts";
import type { Answer } from "./answer.ts";
import { type CommonOptions, connect, type Connection, LONG_TIME } from "./connection.ts";
import { EXIT } from "./failures.ts";
import { INTERRUPTED, interruptible } from "./terminal.ts";
import { Progress } from "./progress.ts";

/** What `cleanup` takes besides. */
export interface CleanupCommandOptions extends CommonOptions {
  limit?: number;
  dryRun?: boolean;
  endedGrace?: string;
}

/**
 * How long what tells of an ended session stays: only the application knows its own `endedGrace`, and its cleanup removes the rest. The
 * rows are empty.
 */
const LONGEST_GRACE = "1d";
/** For the bar it needn't be exact. */
const MOST_COUNTED = 200_000;

/** Removes what has expired, as the cleanup of an application does. */
export async function cleanup(options: CleanupCommandOptions): Promise<Answer> {
  const { limit, dryRun, endedGrace = LONGEST_GRACE } = options;
  const grace = parseDuration("--ended-grace", endedGrace);
  const connection = await connect(options, false, endedGrace);
  try {
    if (dryRun === true) {
      const expired = await countExpired(connection, grace, limit);
      const text = `${counted(expired, "row")} would be removed.`;
      return { text, json: { removed: 0, expired, dryRun: true, interrupted: false }, exitCode: EXIT.ok };
    }
    const expected = await countExpired(connection, grace, Math.min(limit ?? MOST_COUNTED, MOST_COUNTED));
    const progress = new Progress("cleanup", expected < MOST_COUNTED ? expected : limit);
    let removed = 0;
    const onProgress = (soFar: { removed: number }): void => progress.update((removed = soFar.removed));
    const interrupted = await interruptible((signal) =>
      connection.store.deleteExpired({ signal, limit, onProgress }),
    ).finally(() => progress.finish());
    const text = `${counted(removed, "row")} removed.${interrupted ? ` ${INTERRUPTED}` : ""}`;
    const exitCode = interrupted ? EXIT.problem : EXIT.ok;
    return { text, json: { removed, dryRun: false, interrupted }, exitCode };
  } finally {
    await connection.close();
  }
}

/** Rows that can be removed, up to a limit. @param grace - milliseconds */
async function countExpired(
  { query, table, layout }: Connection,
  grace: number,
  limit: number | undefined,
): Promise<number> {
  const most = limit === undefined ? "" : `LIMIT ${limit}`;
  const [row] = await query(
    `SELECT pg_catalog.count(*)::text AS count FROM (SELECT FROM ${table.quoted} s ` +
      `WHERE s.${layout.expiry} ${LE} current_timestamp AND ${outlivedRow(layout, grace)} ${most}) e`,
    [],
    LONG_TIME,
  );
  return Number(row?.["count"]);
}
