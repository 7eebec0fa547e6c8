import type { Statement } from "../../src/lib/postgres/sql/fragments.ts";

/** Lists the statements in objects of them, each with its way from the root: `replace.statement`. */
export function statementsIn(value: unknown, path = ""): [name: string, statement: Statement][] {
  if (typeof value !== "object" || value === null) return [];
  const own: [string, Statement][] = "text" in value ? [[path, value as Statement]] : [];
  const inner = Object.entries(value).flatMap(([name, each]) =>
    statementsIn(each, path === "" ? name : `${path}.${name}`),
  );
  return [...own, ...inner];
}
