import { type TableName, tableName } from "../postgres/sql/table-name.ts";
import { schemaSql } from "../postgres/sql/tables.ts";
import { type Answer, EXIT } from "./answer.ts";
import type { CommonOptions } from "./connection.ts";
import { UsageError } from "./failures.ts";
import { drizzleSchema } from "./schema/drizzle.ts";
import { prismaSchema } from "./schema/prisma.ts";

/** Prints the tables, columns and indexes that `migrate` creates, without a database. */
export async function schema(
  options: CommonOptions & { sql?: boolean; drizzle?: boolean; prisma?: boolean },
): Promise<Answer> {
  const { sql, drizzle, prisma, layout, table = "sessions" } = options;
  if (layout === "connect-pg-simple") {
    throw new UsageError("--layout connect-pg-simple: has no schema of pgstore's, as that package creates the table");
  }
  if ([sql, drizzle, prisma].filter((format) => format === true).length > 1) {
    throw new UsageError("--sql, --drizzle, --prisma: pass only one of them");
  }
  const name = tableName(table, options.schema);
  const format = drizzle === true ? "drizzle" : prisma === true ? "prisma" : "sql";
  const text = { drizzle: drizzleSchema, prisma: prismaSchema, sql: sqlOf }[format](name);
  return { text, json: { format, schema: text }, exitCode: EXIT.ok };
}

const sqlOf = (name: TableName): string => `${schemaSql(name).join(";\n\n")};`;
