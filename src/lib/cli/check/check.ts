import type { Answer } from "../answer.ts";
import { checkBacklog, checkClock, checkConnection, checkServer } from "./server.ts";
import { checkDeep } from "./deep.ts";
import { type CommonOptions, connect, type Connection } from "../connection.ts";
import { EXIT, type ExitCode, InterruptedError } from "../failures.ts";
import { type Finding, ok } from "./finding.ts";
import { interruptible } from "../terminal.ts";
import { judgeTable } from "./table.ts";
import { diagnose, type Problem } from "../../postgres/sql/diagnosis.ts";
import { hasColumns } from "../../postgres/sql/statements.ts";
import { readFigures } from "./table-stats.ts";

/** Says what is wrong, and what to do about each thing. Changes nothing. */
export async function check(options: CommonOptions & { deep?: boolean }): Promise<Answer> {
  const connection = await connect(options);
  try {
    const { query, table, layout } = connection;
    const hasUsers = layout.users && (await hasUserColumns(connection));
    const problems = await diagnose(query, table, layout);
    const findings = checkSchema(connection, problems, hasUsers);
    const isUsable = !problems.some(({ subject }) => subject === "table");
    if (isUsable) findings.push(...(await checkTable(connection, problems, hasUsers, options.deep === true)));
    return answerOf(connection, [...findings, await checkClock(connection), await checkConnection(connection)]);
  } finally {
    await connection.close();
  }
}

/** Whether the table has the columns about users. */
async function hasUserColumns({ query, table }: Connection): Promise<boolean> {
  const [row] = await query(`SELECT ${hasColumns(table)}::text AS columns`);
  return row?.["columns"] === "true";
}

function checkSchema({ table, layout }: Connection, problems: Problem[], hasUsers: boolean): Finding[] {
  const findings = problems.filter(({ subject }) => subject !== "indexes").map(findingOf);
  if (findings.some(({ name }) => name === "table")) return findings;
  if (!layout.users) {
    return [ok("table", `${table.quoted} is as it should be`), ...findings];
  }
  const users = hasUsers
    ? ok("users", "sessions can be listed and ended by their user")
    : // Not wrong: a table that is shared with a Go program may stay as that knows it.
      {
        ...ok("users", "it has no columns about users, so sessions can't be listed or ended by their user"),
        remedy: "npx pgstore migrate adds them",
      };
  return [ok("table", `${table.quoted} is as it should be`), users, ...findings];
}

function findingOf({ subject, level, text, remedy }: Problem): Finding {
  return { name: subject, level, text, remedy: remedy.replace("run store.migrate()", "npx pgstore migrate") };
}

async function checkTable(
  connection: Connection,
  problems: Problem[],
  hasUsers: boolean,
  deep: boolean,
): Promise<Finding[]> {
  const figures = await readFigures(connection);
  if (figures === undefined) return [];
  const indexes = problems.filter(({ subject }) => subject === "indexes").map(findingOf);
  const findings = [
    ...(await checkServer(connection)),
    ...judgeTable(connection.table.quoted, figures, indexes),
    await checkBacklog(connection),
  ];
  if (!deep || !connection.layout.users) return findings;
  const deeper: Finding[] = [];
  const interrupted = await interruptible(async (signal) => {
    deeper.push(...(await checkDeep(connection, hasUsers, figures.rows, signal)));
  });
  if (interrupted) throw new InterruptedError();
  return [...findings, ...deeper];
}

function answerOf({ table, location }: Connection, findings: Finding[]): Answer {
  const has = (level: Finding["level"]): boolean => findings.some((finding) => finding.level === level);
  const isSchema = findings.some(({ name, level }) => level === "error" && name === "table");
  const problem: ExitCode = has("error") || has("warn") ? EXIT.problem : EXIT.ok;
  const exitCode = isSchema ? EXIT.schema : problem;
  const lines = findings.flatMap(({ name, level, text, remedy }) => [
    `${level.padEnd(5)}  ${name.padEnd(11)}  ${text}`,
    ...(remedy === undefined ? [] : [`${" ".repeat(20)}-> ${remedy}`]),
  ]);
  const text = [`${table.quoted} in ${location}`, ...lines].join("\n");
  return { text, json: { ok: exitCode === EXIT.ok, table: table.quoted, location, findings }, exitCode };
}
