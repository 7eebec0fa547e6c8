import { SchemaError } from "../../core/errors.ts";
import { count } from "../../core/format-number.ts";
import { EQ, regclass } from "../../postgres/sql/catalog.ts";
import { tableName } from "../../postgres/sql/table-name.ts";
import { arrayText } from "../../postgres/sql/text-format.ts";
import type { Answer } from "../answer.ts";
import { type CommonOptions, connect, type Connection, type Database, LONG_TIME, openUrl } from "../connection.ts";
import { EXIT, UsageError } from "../failures.ts";
import { type ImportCounts, importRows } from "./rows.ts";
import { type ImportSource, type SourceName, SOURCES } from "./source.ts";
import { INTERRUPTED, interruptible } from "../terminal.ts";
import { Progress } from "../progress.ts";

/** What `import` takes besides. */
export interface ImportOptions extends CommonOptions {
  from: SourceName;
  fromUrl?: string;
  fromTable?: string;
  fromSchema?: string;
}

/** Takes over the live sessions of another package's table, which is only read. */
export async function importSessions(options: ImportOptions): Promise<Answer> {
  const source: ImportSource = SOURCES[options.from];
  const { quoted } = tableName(options.fromTable ?? source.table, options.fromSchema);
  const to = await connect(options);
  try {
    const problems = await to.store.check();
    if (problems.length > 0)
      throw new SchemaError(to.table.quoted, problems.join("; ").replaceAll("store.migrate()", "npx pgstore migrate"));
    const { fromUrl } = options;
    const from: Database = fromUrl === undefined || fromUrl === to.url ? to : await openUrl(fromUrl, quoted);
    try {
      if (from === to) await assertOther(to, quoted);
      await assertColumns(from, quoted, source);
      return await copy(from, quoted, source, to);
    } finally {
      if (from !== to) await from.close();
    }
  } finally {
    await to.close();
  }
}

async function copy(from: Database, table: string, source: ImportSource, to: Connection): Promise<Answer> {
  const counts: ImportCounts = { read: 0, written: 0, present: 0, expired: 0, skipped: {}, found: 0 };
  const progress = new Progress("import", await countRows(from, table));
  const interrupted = await interruptible((signal) =>
    importRows(from, table, source, to, counts, () => {
      progress.update(counts.read);
      signal.throwIfAborted();
    }),
  ).finally(() => progress.finish());
  return answerOf(counts, await countRows(from, table), interrupted);
}

/** @param rows - of the other table, counted after all was read */
function answerOf(counts: ImportCounts, rows: number, interrupted: boolean): Answer {
  const { read, written, present, expired, found } = counts;
  const reasons = Object.entries(counts.skipped);
  const skipped = reasons.reduce((sum, [, many]) => sum + many, 0);
  const verified =
    !interrupted && read === rows && read === written + present + expired + skipped && found === written + present;
  const lines: [string, number][] = [
    ["read", read],
    ["written", written],
    ["there already", present],
    ["expired", expired],
    ["skipped", skipped],
    ...reasons.map(([reason, many]): [string, number] => [`  ${reason}`, many]),
  ];
  const verdict = verified
    ? "The counts agree: every row of the other table is accounted for, and each session is in pgstore's."
    : interrupted
      ? INTERRUPTED
      : `The counts do not agree: the other table has ${count(rows)} rows now, and ${count(found)} of ` +
        `${count(written + present)} sessions were found in pgstore's. Rows that came or went meanwhile do that; run it again.`;
  return {
    text: [...lines.map(([name, many]) => `${name.padEnd(34)} ${count(many)}`), verdict].join("\n"),
    json: { read, written, present, expired, skipped, reasons: counts.skipped, rows, found, verified, interrupted },
    exitCode: verified ? EXIT.ok : EXIT.problem,
  };
}

async function countRows({ query }: Database, table: string): Promise<number> {
  const [row] = await query(`SELECT pg_catalog.count(*)::text AS count FROM ${table}`, [], LONG_TIME);
  return Number(row?.["count"]);
}

/** @throws SchemaError when there is no such table of that package's */
async function assertColumns({ query }: Database, table: string, { layout }: ImportSource): Promise<void> {
  const names = [layout.token, layout.data, layout.expiry];
  const [row] = await query(
    `SELECT pg_catalog.count(*)::text AS count FROM pg_catalog.pg_attribute a
     WHERE a.attrelid ${EQ} ${regclass("$1::text")} AND a.attname ${EQ} ANY ($2::text[]) AND NOT a.attisdropped`,
    [table, arrayText(names)],
  );
  if (row?.["count"] === String(names.length)) return;
  throw new SchemaError(table, `there is no table ${table} with the columns ${names.join(", ")} to import from`);
}

async function assertOther({ query, table }: Connection, other: string): Promise<void> {
  const sql = `SELECT (${regclass("$1::text")} ${EQ} ${regclass("$2::text")})::text AS same`;
  const [row] = await query(sql, [table.quoted, other]);
  if (row?.["same"] === "true") {
    throw new UsageError("both tables are the same: name the other with --from-table, or pgstore's with --table");
  }
}
