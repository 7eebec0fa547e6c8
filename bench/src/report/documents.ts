import type { ScenarioResult } from "../scenarios/scenario.ts";
import { verdictTable } from "../targets.ts";
import { markdownTable, type ResultTable } from "../text.ts";
import { defeatsIn } from "./defeats.ts";
import { FAIRNESS, REQUEST_TABLE } from "./fairness.ts";
import { conditionsOf, type Run } from "./run.ts";

const START = "<!-- benchmarks:start -->";
const END = "<!-- benchmarks:end -->";

/** The page in docs/benchmarks. */
export function benchmarkPage(run: Run): string {
  const defeats = defeatsIn(run.results);
  return [
    "# Benchmarks",
    "Made by `npm run bench -- --write`; do not edit. The values of every round are in [results.json](results.json).",
    bullets(conditionsOf(run)),
    "## Targets",
    "Ratios of the same run. What is missed is missed: the targets are not loosened.",
    markdownTable(verdictTable(run.verdicts)),
    ...run.results.flatMap(sectionOf),
    "## Fairness",
    REQUEST_TABLE.title + ":",
    markdownTable(REQUEST_TABLE),
    bullets(FAIRNESS),
    "## Where pgstore is slower",
    defeats.length === 0 ? "Nowhere in this run." : "In this run, with the ratio of pgstore to the peer:",
    bullets(defeats),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** What stands in the README between the markers. */
export function readmeSummary(run: Run): string {
  const [measured, machine, versions] = conditionsOf(run);
  const http = run.results.find(({ name }) => name === "http");
  const store = run.results.find(({ name }) => name === "store");
  return [
    "![Requests a second, by server](docs/benchmarks/http.svg)",
    ...[http, store].flatMap((result) =>
      result === undefined ? [] : [`${result.title}:`, ...result.tables.filter(isRates).flatMap(titled)],
    ),
    `${verdictTable(run.verdicts).title}:`,
    markdownTable(verdictTable(run.verdicts)),
    `${measured} ${machine} ${versions} Conditions, fairness, where pgstore is slower, and the rest: ` +
      "[docs/benchmarks](docs/benchmarks/README.md).",
  ].join("\n\n");
}

/** Puts the summary between the markers; undefined when there are none. */
export function withSummary(readme: string, summary: string): string | undefined {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END);
  if (start < 0 || end < start) return undefined;
  return `${readme.slice(0, start + START.length)}\n\n${summary}\n\n${readme.slice(end)}`;
}

const CHARTS = ["store", "http"];

function sectionOf({ name, title, tables, notes }: ScenarioResult): string[] {
  const chart = CHARTS.includes(name) ? [`![${title}](${name}.svg)`] : [];
  return [`## ${title}`, ...chart, ...tables.flatMap(titled), notes.join(" ")];
}

const titled = (table: ResultTable): string[] => [`${table.title}:`, markdownTable(table)];
const isRates = ({ title }: ResultTable): boolean => title.includes("a second");
const bullets = (lines: readonly string[]): string => lines.map((line) => `- ${line}`).join("\n");
