import type { Answer } from "./answer.ts";
import { checkBacklog, checkClock, checkConnection, checkServer } from "./check-server.ts";
import { checkDeep } from "./check-deep.ts";
import { type CommonOptions, connect, type Connection } from "./connection.ts";
import { EXIT, type ExitCode, InterruptedError } from "./failures.ts";
import { error, type Finding, ok } from "./finding.ts";
import { interruptible } from "./interrupt.ts";
import { judgeTable } from "./judge-table.ts";
import { readFigures } from "./table-figures.ts";

/** Says what is wrong, and what to do about each thing. Changes nothing. */
export async function check(options: CommonOptions & { deep?: boolean }): Promise<Answer> {
  const connection = await connect(options);
  try {
    const schema = await checkSchema(connection);
    const isOurs = schema.every(({ level }) => level !== "error");
    const rest = isOurs ? await checkTable(connection, options.deep === true) : [];
    return answerOf(connection, [...schema, ...rest, await checkClock(connection), await checkConnection(connection)]);
  } finally {
    await connection.close();
  }
}

async function checkSchema({ store, table, query }: Connection): Promise<Finding[]> {
  const problems = (await store.check()).map((problem) => {
    const [text = problem, ...remedy] = problem.split(": ");
    return error("table", text, remedy.join(": ").replace("store.migrate()", "npx pgstore migrate"));
  });
  const [row] = await query(
    `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1::text) AND attname = 'user_id')::text AS columns`,
    [table.quoted],
  );
  if (problems.length > 0) return problems;
  const fine = ok("table", `${table.quoted} is as it should be`);
  if (row?.["columns"] !== "true") {
    // Not wrong: a table that is shared with a Go program may stay as that knows it.
    const text = "it has no columns about users, so sessions can't be listed or ended by their user";
    return [fine, { name: "users", level: "ok", text, remedy: "npx pgstore migrate adds them" }];
  }
  return [fine, ok("users", "sessions can be listed and ended by their user")];
}

async function checkTable(connection: Connection, deep: boolean): Promise<Finding[]> {
  const { table, query } = connection;
  const figures = await readFigures(connection);
  if (figures === undefined) return [];
  const findings = [
    ...(await checkServer(connection)),
    ...judgeTable(table.quoted, figures),
    await checkBacklog(connection),
  ];
  if (!deep) return findings;
  const [row] = await query(
    `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1::text) AND attname = 'user_id')::text AS columns`,
    [table.quoted],
  );
  const hasUsers = row?.["columns"] === "true";
  const deeper: Finding[] = [];
  const interrupted = await interruptible(async (signal) => {
    deeper.push(...(await checkDeep(connection, hasUsers, figures.rows, signal)));
  });
  if (interrupted) throw new InterruptedError();
  return [...findings, ...deeper];
}

function answerOf({ table, location }: Connection, findings: Finding[]): Answer {
  const has = (level: Finding["level"]): boolean => findings.some((finding) => finding.level === level);
  const isSchema = findings.some(({ name, level }) => level === "error" && (name === "table" || name === "users"));
  const problem: ExitCode = has("error") || has("warn") ? EXIT.problem : EXIT.ok;
  const exitCode = isSchema ? EXIT.schema : problem;
  const lines = findings.flatMap(({ name, level, text, remedy }) => [
    `${level.padEnd(5)}  ${name.padEnd(11)}  ${text}`,
    ...(remedy === undefined ? [] : [`${" ".repeat(20)}-> ${remedy}`]),
  ]);
  const text = [`${table.quoted} in ${location}`, ...lines].join("\n");
  return { text, json: { ok: exitCode === EXIT.ok, table: table.quoted, location, findings }, exitCode };
}
