import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const definition = readFileSync(createRequire(import.meta.url).resolve("connect-pg-simple/table.sql"), "utf8");

/** The statements by which connect-pg-simple's own file makes its table. @param table - quoted */
export function connectPgSimpleTable(table: string): string[] {
  return definition
    .replaceAll('"session"', () => table)
    .replace('CONSTRAINT "session_pkey" ', "")
    .replace('CREATE INDEX "IDX_session_expire"', "CREATE INDEX")
    .split(";")
    .filter((statement) => statement.trim() !== "");
}
