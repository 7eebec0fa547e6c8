import { counted } from "../core/format-number.ts";
import { repeat } from "../core/time.ts";
import type { Operator, SchemaObject } from "../postgres/operator.ts";
import { tableName } from "../postgres/sql/table-name.ts";
import { schemaSql, stepsByHand } from "../postgres/sql/tables.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, type Connection, onStore } from "./connection.ts";
import { UsageError } from "./failures.ts";
import { Progress } from "./progress.ts";
import { hanging, type Style } from "./style.ts";

/** Milliseconds between two looks at the index that is being created. */
const PROGRESS_MS = 500;

const ADVICE =
  "If you use drizzle-kit push or prisma db push: they drop tables that they don't know. Use --schema pgstore, or describe " +
  "the tables to them with npx pgstore schema.";

/** Creates missing tables, columns and indexes and says which, or prints the SQL for it. */
export async function migrate(options: CommonOptions & { print?: boolean }): Promise<Answer> {
  if (options.layout === "connect-pg-simple") {
    throw new UsageError(
      "--layout connect-pg-simple: cannot be migrated, as pgstore leaves that package's table unchanged",
    );
  }
  const name = tableName(options.table ?? "sessions", options.schema);
  if (options.print === true) return printed(schemaSql(name), stepsByHand(name));
  return onStore({ ...options, mayCreate: true }, (connection) => migrated(connection, options.schema === undefined));
}

/** @param isShared - whether other tables may be in the schema */
async function migrated(
  { store, operator, location, isServer, table: { quoted } }: Connection,
  isShared: boolean,
): Promise<Answer> {
  const before = await operator.listObjects();
  await (isServer ? withProgress(operator, store.migrate()) : store.migrate());
  const steps = stepsBetween(before, await operator.listObjects());
  const text = (style: Style): string => {
    const upToDate = `Table ${quoted} in ${location} is up to date.`;
    if (steps.length === 0) return hanging("", `${upToDate} There was nothing to do.`, style);
    const lines = steps.map((step) => hanging("  + ", step, style, undefined, style.green));
    const advice = before.length === 0 && isShared ? ["", hanging("", ADVICE, style, style.dim)] : [];
    return [...lines, hanging("", upToDate, style, style.bold), ...advice].join("\n");
  };
  return { text, json: { table: quoted, location, migrated: true, steps }, exitCode: EXIT.ok };
}

/** Shows the progress of an index on a large table until the migration has ended. */
async function withProgress(operator: Operator, migration: Promise<void>): Promise<void> {
  let isOver = false;
  const progress = new Progress("index, in blocks");
  // A failure to look is no failure of the migration.
  const stop = repeat(PROGRESS_MS, async () => {
    const { done, total } = await operator.indexProgress();
    if (!isOver && total > 0) progress.update(done, total);
  });
  try {
    await migration;
  } finally {
    isOver = true;
    stop();
    progress.finish();
  }
}

/** Words the difference between two lists of tables, columns and indexes. */
function stepsBetween(before: SchemaObject[], after: SchemaObject[]): string[] {
  const known = new Set(before.map(keyOf));
  const made = after.filter((one) => !known.has(keyOf(one)));
  const tables = new Set(made.filter(({ kind }) => kind === "table").map(({ table }) => table));
  const columns = new Map<string, string[]>();
  for (const { kind, table, name } of made) {
    if (kind === "column" && !tables.has(table)) columns.set(table, [...(columns.get(table) ?? []), name]);
  }
  return [
    ...Array.from(tables, (table) => `created table ${table}`),
    ...Array.from(
      columns,
      ([table, names]) => `added ${counted(names.length, "column")} to ${table}: ${names.join(", ")}`,
    ),
    ...made
      // The index of the key comes with its table.
      .filter(({ kind, name }) => kind === "index" && !name.endsWith("_pkey"))
      .map(({ table, name }) => `created index ${name} on ${table}`),
  ];
}

const keyOf = ({ kind, table, name }: SchemaObject): string => JSON.stringify([kind, table, name]);

function printed(statements: string[], byHand: string[]): Answer {
  const sql = statements.join(";\n\n");
  const text = [
    "-- The whole schema. Each statement adds only what is missing, so it can run any number of times.",
    `${sql};`,
    "",
    "-- If the table has many millions of rows and is in use, run these first, so that no request waits while an index is created.",
    "-- Run each on its own, outside a transaction. Skip an index that already exists.",
    ...byHand.map((step) => `-- ${step};`),
  ];
  return { text: text.join("\n"), json: { sql, byHand }, exitCode: EXIT.ok };
}
