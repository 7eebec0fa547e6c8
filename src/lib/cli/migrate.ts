import { tableName } from "../postgres/table-name.ts";
import { stepsByHand, migrationSql } from "../postgres/migration.ts";
import type { Answer } from "./answer.ts";
import { type CommonOptions, connect } from "./connection.ts";
import { EXIT } from "./failures.ts";

/** Creates what is missing, or prints the SQL that would. */
export async function migrate(options: CommonOptions & { print?: boolean }): Promise<Answer> {
  const name = tableName(options.table ?? "sessions", options.schema);
  if (options.print === true) return printed(migrationSql(name), stepsByHand(name));
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
    "-- Creates what is missing; it may run any number of times.",
    `${sql};`,
    "",
    "-- On a table of many millions of rows that is in use, first these, so that nobody waits while an index is made.",
    "-- Each by itself, outside of a transaction; leave out the index that is there already.",
    ...byHand.map((step) => `-- ${step};`),
  ];
  return { text: text.join("\n"), json: { sql, byHand }, exitCode: EXIT.ok };
}
