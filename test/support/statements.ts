/** Lists the SQL texts in objects of statements, each with its path from the root: `replace.statement`. */
export function statementsIn(value: unknown, path = ""): [name: string, text: string][] {
  if (typeof value === "string") return /^(?:SELECT|WITH|INSERT|UPDATE|DELETE) /.test(value) ? [[path, value]] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) => statementsIn(each, path === "" ? name : `${path}.${name}`));
}
