import { counted } from "../core/format-number.ts";
import { parseDuration } from "../core/options.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, onStore } from "./connection.ts";
import { INTERRUPTED, interruptible } from "./terminal.ts";
import { Progress } from "./progress.ts";

/**
 * Time that the empty rows of ended sessions stay. It is longer than any application's `endedGrace`, which only the application
 * knows. The application's own cleanup removes younger ones.
 */
const ENDED_GRACE = "1d";
/** Maximum number of rows that are counted first, to show the time left. Counting so many takes a second or two. */
const MAX_COUNTED_ROWS = 5_000_000;

/** Removes expired rows, as the cleanup of an application does. */
export async function cleanup(
  options: CommonOptions & { limit?: number; dryRun?: boolean; endedGrace?: string },
): Promise<Answer> {
  const { limit, dryRun, endedGrace = ENDED_GRACE } = options;
  const graceMs = parseDuration("--ended-grace", endedGrace);
  return onStore({ ...options, endedGrace }, async ({ store, operator }) => {
    if (dryRun === true) {
      const expired = await operator.countRemovable(graceMs, limit);
      const text = `${counted(expired, "row")} would be removed.`;
      return { text, json: { removed: 0, expired, dryRun: true, interrupted: false }, exitCode: EXIT.ok };
    }
    const expected = await operator.countRemovable(graceMs, Math.min(limit ?? MAX_COUNTED_ROWS, MAX_COUNTED_ROWS));
    const progress = new Progress("cleanup", expected < MAX_COUNTED_ROWS ? expected : limit);
    let removed = 0;
    const onProgress = (soFar: { removed: number }): void => progress.update((removed = soFar.removed));
    const interrupted = await interruptible(progress, (signal) => store.deleteExpired({ signal, limit, onProgress }));
    const text = `${counted(removed, "row")} removed.${interrupted ? ` ${INTERRUPTED}` : ""}`;
    const exitCode = interrupted ? EXIT.problem : EXIT.ok;
    return { text, json: { removed, dryRun: false, interrupted }, exitCode };
  });
}
