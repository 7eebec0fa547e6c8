import { counted } from "../base/figures.ts";
import { GT, LE, MINUS } from "../postgres/catalog.ts";
import { seedLayout } from "../postgres/layout.ts";
import type { Answer } from "./answer.ts";
import { type CommonOptions, connect, type Connection, LONG_TIME } from "./connection.ts";
import { EXIT } from "./failures.ts";
import { INTERRUPTED, interruptible } from "./interrupt.ts";
import { Progress } from "./progress.ts";

/** What `cleanup` takes besides. */
export interface CleanupCommandOptions extends CommonOptions {
  limit?: number;
  dryRun?: boolean;
}

/** For the bar it needn't be exact. */
const MOST_COUNTED = 200_000;

/** Removes what has expired, as the cleanup of an application does. */
export async function cleanup(options: CleanupCommandOptions): Promise<Answer> {
  const { limit, dryRun } = options;
  const connection = await connect(options);
  try {
    if (dryRun === true) {
      const expired = await countExpired(connection, limit);
      const text = `${counted(expired, "row")} would be removed.`;
      return { text, json: { removed: 0, expired, dryRun: true, interrupted: false }, exitCode: EXIT.ok };
    }
    const expected = await countExpired(connection, Math.min(limit ?? MOST_COUNTED, MOST_COUNTED));
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

/** What a session leaves that was ended just now, and the cleanup keeps for a while. */
const REMEMBERED = `(${seedLayout.entombed} AND s.expiry ${GT} (current_timestamp ${MINUS} interval '2 minutes'))`;

/** Rows that can be removed, up to a limit. */
async function countExpired({ query, table }: Connection, limit: number | undefined): Promise<number> {
  const most = limit === undefined ? "" : `LIMIT ${limit}`;
  const [row] = await query(
    `SELECT pg_catalog.count(*)::text AS count FROM (SELECT FROM ${table.quoted} s ` +
      `WHERE s.expiry ${LE} current_timestamp AND NOT ${REMEMBERED} ${most}) e`,
    [],
    LONG_TIME,
  );
  return Number(row?.["count"]);
}
