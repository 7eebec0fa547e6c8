import { tableName } from "../postgres/sql/table-name.ts";
import { schemaSql, stepsByHand } from "../postgres/sql/tables.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, connect } from "./connection.ts";
import { UsageError } from "./failures.ts";

/** Creates missing tables, columns and indexes, or prints the SQL for it. */
export async function migrate(options: CommonOptions & { print?: boolean }): Promise<Answer> {
  if (options.layout === "connect-pg-simple") {
    throw new UsageError(
      "--layout connect-pg-simple: cannot be migrated, as pgstore leaves that package's table unchanged",
    );
  }
  const name = tableName(options.table ?? "sessions", options.schema);
  if (options.print === true) return printed(schemaSql(name), stepsByHand(name));
  const { store, location, close } = await connect(options, true);
  try {
    await store.migrate();
  } finally {
    await close();
  }
  const text = `Table ${name.quoted} in ${location} is up to date.`;
  return { text, json: { table: name.quoted, location, migrated: true }, exitCode: EXIT.ok };
}

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
