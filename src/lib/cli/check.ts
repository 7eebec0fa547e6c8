import type { Answer } from "./answer.ts";
import { checkBacklog, checkClock, checkConnection, checkServer } from "./check-server.ts";
import { checkDeep } from "./check-deep.ts";
import { type CommonOptions, connect, type Connection } from "./connection.ts";
import { EXIT, type ExitCode, InterruptedError } from "./failures.ts";
import { error, type Finding, ok } from "./finding.ts";
import { interruptible } from "./interrupt.ts";
import { judgeTable } from "./judge-table.ts";
import { hasColumns } from "../postgres/statements.ts";
import { readFigures } from "./table-figures.ts";

/** Says what is wrong, and what to do about each thing. Changes nothing. */
export async function check(options: CommonOptions & { deep?: boolean }): Promise<Answer> {
  const connection = await connect(options);
  try {
    const hasUsers = connection.layout.users && (await hasUserColumns(connection));
    const schema = await checkSchema(connection, hasUsers);
    const isOurs = schema.every(({ level }) => level !== "error");
    const rest = isOurs ? await checkTable(connection, hasUsers, options.deep === true) : [];
    return answerOf(connection, [...schema, ...rest, await checkClock(connection), await checkConnection(connection)]);
  } finally {
    await connection.close();
  }
}

/** Whether the table has the columns about users. */
async function hasUserColumns({ query, table }: Connection): Promise<boolean> {
  const [row] = await query(`SELECT ${hasColumns(table)}::text AS columns`);
  return row?.["columns"] === "true";
}

async function checkSchema({ store, table, layout }: Connection, hasUsers: boolean): Promise<Finding[]> {
  const problems = (await store.check()).map((problem) => {
    const [text = problem, ...remedy] = problem.split(": ");
    return error("table", text, remedy.join(": ").replace("store.migrate()", "npx pgstore migrate"));
  });
  if (problems.length > 0) return problems;
  const fine = ok("table", `${table.quoted} is as it should be`);
  if (!layout.users) return [fine];
  if (!hasUsers) {
    // Not wrong: a table that is shared with a Go program may stay as that knows it.
    const text = "it has no columns about users, so sessions can't be listed or ended by their user";
    return [fine, { name: "users", level: "ok", text, remedy: "npx pgstore migrate adds them" }];
  }
  return [fine, ok("users", "sessions can be listed and ended by their user")];
}

async function checkTable(connection: Connection, hasUsers: boolean, deep: boolean): Promise<Finding[]> {
  const figures = await readFigures(connection);
  if (figures === undefined) return [];
  const findings = [
    ...(await checkServer(connection)),
    ...judgeTable(connection.table.quoted, figures),
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
