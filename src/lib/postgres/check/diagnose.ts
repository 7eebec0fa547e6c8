import { OptionReader } from "../../core/options.ts";
import type { Query } from "../drivers/driver.ts";
import type { Layout } from "../sql/layout.ts";
import type { TableName } from "../sql/table-name.ts";
import { checkRows } from "./rows.ts";
import { type DiagnoseOptions, type Finding, ok } from "./finding.ts";
import { checkSchema, MIGRATE } from "./schema.ts";
import { checkBacklog, checkClock, checkServer } from "./server.ts";
import { judgeTable, readTableStats } from "./table.ts";

/** Examines the tables, their rows and the server. Changes nothing. */
export async function diagnose(
  query: Query,
  table: TableName,
  layout: Layout,
  options: DiagnoseOptions = {},
): Promise<Finding[]> {
  const read = new OptionReader(options);
  const deep = read.bool("deep", false);
  const signal = read.value("signal") as AbortSignal | undefined;
  const onProgress = read.callback<NonNullable<DiagnoseOptions["onProgress"]>>("onProgress");
  read.end();
  const { problems, hasUsers } = await checkSchema(query, table, layout);
  const hasTable = !problems.some(({ subject }) => subject === "table");
  const findings = [
    ...(hasTable ? goodTable(table, layout, hasUsers) : []),
    ...problems.filter(({ subject }) => subject !== "indexes"),
  ];
  const stats = hasTable ? await readTableStats(query, table.quoted) : undefined;
  if (stats !== undefined) {
    const indexes = problems.filter(({ subject }) => subject === "indexes");
    findings.push(
      ...(await checkServer(query)),
      ...judgeTable(table.quoted, stats, indexes),
      await checkBacklog(query, table, layout),
    );
    if (deep && layout.users) {
      findings.push(...(await checkRows(query, table, hasUsers, stats.rows, { signal, onProgress })));
    }
  }
  return [...findings, await checkClock(query)];
}

function goodTable({ quoted }: TableName, layout: Layout, hasUsers: boolean): Finding[] {
  const table = ok("table", `${quoted} is as it should be`);
  if (!layout.users) return [table];
  if (hasUsers) return [table, ok("users", "sessions can be listed and revoked by user")];
  // No problem: a table shared with a Go program may stay as it is.
  const users = ok("users", "the table has no columns about users, so sessions can't be listed or revoked by user");
  return [table, { ...users, remedy: `${MIGRATE} adds them` }];
}
