import { counted } from "../core/format-number.ts";
import type { Finding } from "../postgres/check/finding.ts";
import { checkPooler } from "../postgres/check/pooler.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, type Connection, onStore, shellRemedy } from "./connection.ts";
import { InterruptedError } from "./failures.ts";
import { Progress } from "./progress.ts";
import { hanging, type Style } from "./style.ts";
import { interruptible } from "./terminal.ts";

/** Prints the store's diagnosis, and whether a pooler stands before the server. */
export async function check(options: CommonOptions & { deep?: boolean }): Promise<Answer> {
  return onStore(options, async (connection) => {
    const findings = options.deep === true ? await diagnoseDeep(connection) : await connection.store.diagnose();
    return answerOf(connection, [...findings, await checkPooler(connection.isServer ? connection.url : undefined)]);
  });
}

/** @throws InterruptedError at Ctrl-C */
async function diagnoseDeep({ store }: Connection): Promise<Finding[]> {
  let findings: Finding[] = [];
  const progress = new Progress("check");
  const interrupted = await interruptible(progress, async (signal) => {
    findings = await store.diagnose({
      deep: true,
      signal,
      onProgress: ({ rows, total }) => progress.update(rows, total),
    });
  });
  if (interrupted) throw new InterruptedError();
  return findings;
}

function answerOf({ table, location }: Connection, found: Finding[]): Answer {
  const findings = found.map(({ subject, severity, text, remedy, figures }) => ({
    name: subject,
    level: severity,
    text,
    remedy: remedy && shellRemedy(remedy),
    figures,
  }));
  const countOf = (level: Finding["severity"]): number => found.filter(({ severity }) => severity === level).length;
  const [errors, warnings] = [countOf("error"), countOf("warn")];
  const isSchema = found.some(({ subject, severity }) => severity === "error" && subject === "table");
  const exitCode = isSchema ? EXIT.schema : errors + warnings > 0 ? EXIT.problem : EXIT.ok;
  const text = (style: Style): string => {
    const paints = { ok: style.green, warn: style.yellow, error: style.red };
    const lines = findings.flatMap(({ name, level, text: said, remedy }) => [
      hanging(`${level.padEnd(5)}  ${name.padEnd(11)}  `, said, style, undefined, (beginning) =>
        beginning.replace(level, paints[level]),
      ),
      ...(remedy === undefined ? [] : [hanging(`${" ".repeat(20)}-> `, remedy, style, style.cyan, style.dim)]),
    ]);
    const title = hanging("", `${table.quoted} in ${location}`, style, style.bold);
    return [title, ...lines, verdictOf(errors, warnings, style)].join("\n");
  };
  return { text, json: { ok: exitCode === EXIT.ok, table: table.quoted, location, findings }, exitCode };
}

function verdictOf(errors: number, warnings: number, { red, yellow, green }: Style): string {
  if (errors + warnings === 0) return green("Nothing is wrong.");
  const parts = [errors > 0 && red(counted(errors, "error")), warnings > 0 && yellow(counted(warnings, "warning"))];
  return `${parts.filter(Boolean).join(" and ")} found.`;
}
