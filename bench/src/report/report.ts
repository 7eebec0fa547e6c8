import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import prettier from "prettier";
import { verdictTable } from "../targets.ts";
import { plainTable } from "../text.ts";
import { drawCharts } from "./charts.ts";
import { benchmarkPage, readmeSummary, withSummary } from "./documents.ts";
import { conditionsOf, type Run } from "./run.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** Prints the results. */
export function print(run: Run): void {
  console.log(`\n${conditionsOf(run).join("\n")}`);
  for (const { title, tables, notes } of run.results) {
    console.log(`\n== ${title}`);
    for (const table of tables) console.log(`\n${plainTable(table)}`);
    console.log(`\n${notes.join("\n")}`);
  }
  console.log(`\n== ${plainTable(verdictTable(run.verdicts))}`);
}

/** Keeps the results: in bench/results, with `write` in the repository's documentation instead. Returns the files. */
export async function keep(run: Run, write: boolean): Promise<string[]> {
  const folder = join(ROOT, write ? "docs/benchmarks" : "bench/results");
  const files: Record<string, string> = {
    [join(folder, "results.json")]: JSON.stringify(run),
    [join(folder, "README.md")]: benchmarkPage(run),
  };
  for (const [name, svg] of Object.entries(await drawCharts(run.results))) files[join(folder, name)] = svg;
  if (write) {
    const readme = join(ROOT, "README.md");
    const changed = withSummary(readFileSync(readme, "utf8"), readmeSummary(run));
    if (changed !== undefined) files[readme] = changed;
  }
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, await formatted(file, text));
  }
  return Object.keys(files);
}

/** As `npm run format` would; what prettier doesn't know stays. */
async function formatted(file: string, text: string): Promise<string> {
  const { inferredParser } = await prettier.getFileInfo(file);
  if (inferredParser === null) return `${text.trimEnd()}\n`;
  return await prettier.format(text, { ...(await prettier.resolveConfig(file)), filepath: file });
}
