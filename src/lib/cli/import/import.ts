import { count } from "../../core/format-number.ts";
import { sha256 } from "../../core/token.ts";
import { type ForeignRow, ForeignTable } from "../../postgres/foreign-table.ts";
import { tableName } from "../../postgres/sql/table-name.ts";
import { type Answer, EXIT } from "../answer.ts";
import { type CommonOptions, type Connection, type Database, onStore, openUrl, tableProblem } from "../connection.ts";
import { TableProblemError, UsageError } from "../failures.ts";
import { Progress } from "../progress.ts";
import { INTERRUPTED, interruptible } from "../terminal.ts";
import { type ImportSource, type SkipReason, type SourceName, SOURCES } from "./source.ts";

/** Options of `import`. */
interface ImportOptions extends CommonOptions {
  from: SourceName;
  fromUrl?: string;
  fromTable?: string;
  fromSchema?: string;
}

/** Copies the live sessions from another package's table, which is only read. */
export async function importSessions(options: ImportOptions): Promise<Answer> {
  const source: ImportSource = SOURCES[options.from];
  const { quoted } = tableName(options.fromTable ?? source.table, options.fromSchema);
  return onStore(options, async (to) => {
    await assertUsable(to);
    const { fromUrl } = options;
    const database: Database = fromUrl === undefined || fromUrl === to.url ? to : await openUrl(fromUrl, quoted);
    try {
      const from = new ForeignTable(database.query, quoted, source.layout);
      if (database === to && (await from.isSameAs(to.table.quoted))) {
        throw new UsageError(
          "both tables are the same. Name the other one with --from-table, or pgstore's with --table",
        );
      }
      if (!(await from.exists())) {
        const text = `there is no table ${quoted} with the columns ${from.columns.join(", ")} to import from`;
        throw new TableProblemError(quoted, text, "name it with --from-table and --from-schema");
      }
      return await copy(from, source, to);
    } finally {
      if (database !== to) await database.close();
    }
  });
}

/** @throws TableProblemError when pgstore's table lacks something */
async function assertUsable({ operator, table }: Connection): Promise<void> {
  const [first] = await operator.findProblems();
  if (first !== undefined) throw tableProblem(table, first);
}

/** Counts of the other table's rows. Each row counts in `read`, and in one of `written`, `present`, `expired` and `skipped`. */
interface ImportCounts {
  read: number;
  written: number;
  /** Rows that pgstore's table has already: imported before, newer, or revoked there. They are left unchanged. */
  present: number;
  expired: number;
  /** Skipped rows by the reason. */
  skipped: Partial<Record<SkipReason, number>>;
  /** Written or present rows that a look into pgstore's table has found afterwards. */
  found: number;
}

/** Copies a page at a time. Rows in pgstore's table stay as they are, so an import can be interrupted and run again. */
async function copy(from: ForeignTable, source: ImportSource, { store, operator }: Connection): Promise<Answer> {
  const counts: ImportCounts = { read: 0, written: 0, present: 0, expired: 0, skipped: {}, found: 0 };
  const progress = new Progress("import", await from.count());
  const take = async ({ key, session }: ForeignRow): Promise<string | undefined> => {
    if (session === undefined) {
      counts.expired++;
      return undefined;
    }
    const { data, expiry } = session;
    const reason = source.reasonToSkip(key, data, expiry);
    if (reason !== undefined) {
      counts.skipped[reason] = (counts.skipped[reason] ?? 0) + 1;
      return undefined;
    }
    // The other packages store the session's secret itself, pgstore its hash.
    const id = sha256(key);
    if (await store.create(id, data, expiry)) counts.written++;
    else counts.present++;
    return id;
  };
  const interrupted = await interruptible(progress, async (signal) => {
    for await (const page of from.pages()) {
      counts.read += page.length;
      const ids = (await Promise.all(page.map(take))).filter((id) => id !== undefined);
      counts.found += await operator.countPresent(ids);
      progress.update(counts.read);
      signal.throwIfAborted();
    }
  });
  return answerOf(counts, await from.count(), interrupted);
}

/** @param rows - of the other table, counted after the last page */
function answerOf(counts: ImportCounts, rows: number, interrupted: boolean): Answer {
  const { read, written, present, expired, found } = counts;
  const reasons = Object.entries(counts.skipped);
  const skipped = reasons.reduce((sum, [, many]) => sum + many, 0);
  const verified =
    !interrupted && read === rows && read === written + present + expired + skipped && found === written + present;
  const lines: [string, number][] = [
    ["read", read],
    ["written", written],
    ["already present", present],
    ["expired", expired],
    ["skipped", skipped],
    ...reasons.map(([reason, many]): [string, number] => [`  ${reason}`, many]),
  ];
  const verdict = verified
    ? "The counts agree: every row of the other table is accounted for, and each session is in pgstore's table."
    : interrupted
      ? INTERRUPTED
      : `The counts do not agree: the other table has ${count(rows)} rows now, and ${count(found)} of ` +
        `${count(written + present)} sessions were found in pgstore's table. Rows that were added or removed meanwhile cause this. Run it again.`;
  return {
    text: [...lines.map(([name, many]) => `${name.padEnd(34)} ${count(many)}`), verdict].join("\n"),
    json: { read, written, present, expired, skipped, reasons: counts.skipped, rows, found, verified, interrupted },
    exitCode: verified ? EXIT.ok : EXIT.problem,
  };
}
