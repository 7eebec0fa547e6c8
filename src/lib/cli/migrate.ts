import { tableName } from "../postgres/sql/table-name.ts";
import { schemaSql, stepsByHand } from "../postgres/sql/tables.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, connect } from "./connection.ts";
import { UsageError } from "./failures.ts";

/** Creates what is missing, or prints the SQL that would. */
export async function migrate(options: CommonOptions & { print?: boolean }): Promise<Answer> {
  if (options.layout === "connect-pg-simple") {
    throw new UsageError(
      "--layout connect-pg-simple: that package's table stays as it is, so there is nothing to migrate",
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
  const text = `The table ${name.quoted} is as it should be, in ${location}.`;
  return { text, json: { table: name.quoted, location, migrated: true }, exitCode: EXIT.ok };
}

function printed(statements: string[], byHand: string[]): Answer {
  const sql = statements.join(";\n\n");
  const text = [
    "-- The whole schema. Each statement adds only what is missing, so it may run any number of times.",
    `${sql};`,
    "",
    "-- A table of many millions of rows that is in use: run these before, so that no request waits while an index is made.",
    "-- Run each by itself, outside of a transaction. Leave out an index that is there already.",
    ...byHand.map((step) => `-- ${step};`),
  ];
  return { text: text.join("\n"), json: { sql, byHand }, exitCode: EXIT.ok };
}
