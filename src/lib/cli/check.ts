import type { Finding } from "../postgres/check/finding.ts";
import { checkPooler } from "../postgres/check/pooler.ts";
import { MIGRATE } from "../postgres/check/schema.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, connect, type Connection } from "./connection.ts";
import { InterruptedError } from "./failures.ts";
import { Progress } from "./progress.ts";
import { interruptible } from "./terminal.ts";

/** Prints the store's diagnosis, and whether a pooler stands before the server. */
export async function check(options: CommonOptions & { deep?: boolean }): Promise<Answer> {
  const connection = await connect(options);
  try {
    const findings = options.deep === true ? await diagnoseDeep(connection) : await connection.store.diagnose();
    return answerOf(connection, [...findings, await checkPooler(connection.isServer ? connection.url : undefined)]);
  } finally {
    await connection.close();
  }
}

/** @throws InterruptedError at Ctrl-C */
async function diagnoseDeep({ store }: Connection): Promise<Finding[]> {
  let findings: Finding[] = [];
  const progress = new Progress("check");
  const interrupted = await interruptible(async (signal) => {
    findings = await store.diagnose({
      deep: true,
      signal,
      onProgress: ({ rows, total }) => progress.update(rows, total),
    });
  }).finally(() => progress.finish());
  if (interrupted) throw new InterruptedError();
  return findings;
}

/** A remedy for people at a shell. */
export function shellRemedy(remedy: string): string {
  return remedy.replaceAll(MIGRATE, "npx pgstore migrate");
}

function answerOf({ table, location }: Connection, found: Finding[]): Answer {
  const findings = found.map(({ subject, severity, text, remedy, figures }) => ({
    name: subject,
    level: severity,
    text,
    remedy: remedy && shellRemedy(remedy),
    figures,
  }));
  const has = (severity: Finding["severity"]): boolean => found.some((finding) => finding.severity === severity);
  const isSchema = found.some(({ subject, severity }) => severity === "error" && subject === "table");
  const exitCode = isSchema ? EXIT.schema : has("error") || has("warn") ? EXIT.problem : EXIT.ok;
  const lines = findings.flatMap(({ name, level, text, remedy }) => [
    `${level.padEnd(5)}  ${name.padEnd(11)}  ${text}`,
    ...(remedy === undefined ? [] : [`${" ".repeat(20)}-> ${remedy}`]),
  ]);
  const text = [`${table.quoted} in ${location}`, ...lines].join("\n");
  return { text, json: { ok: exitCode === EXIT.ok, table: table.quoted, location, findings }, exitCode };
}
