import { readFileSync } from "node:fs";
import type { ScenarioResult } from "../scenarios/scenario.ts";
import { median } from "../stats.ts";
import { verdictTable } from "../targets.ts";
import { markdownTable, type ResultTable } from "../text.ts";
import { defeatsIn } from "./defeats.ts";
import { FAIRNESS, REQUEST_TABLE } from "./fairness.ts";
import { conditionsOf, type Run } from "./run.ts";

/** The repository's address, which the registry's page needs: there, no relative link works. */
const { repository } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  repository: { url: string };
};
const PAGES = `${repository.url.replace(/^git\+|\.git$/g, "")}/blob/HEAD`;
const RAW = `${repository.url.replace(/^git\+|\.git$/g, "")}/raw/HEAD`;

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
    "Ratios of the same run. What is missed is missed: the targets are not loosened. The tables of functions below show where the time goes.",
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
  const values = run.results.find(({ name }) => name === "http")?.values ?? {};
  const rate = (operation: string, id: string): number => median(values[`${operation}/${id}/rate`] ?? [0]);
  const times = (operation: string, id: string, peer: string): string =>
    `${(rate(operation, id) / rate(operation, peer)).toFixed(1)} times`;
  const sentences = [
    `In Express 5, a page that reads the session is served ${times("get", "pgstore-express", "express")} as often a second as with ` +
      `express-session and connect-pg-simple, and one that changes it ${times("inc", "pgstore-express", "express")} as often.`,
    `In Fastify it is ${times("get", "pgstore-fastify", "fastify")} and ${times("inc", "pgstore-fastify", "fastify")} as often as with ` +
      "@fastify/session.",
    `Keeping express-session and replacing only its store makes it ${times("get", "drop-in", "connect-pg-simple")} as often.`,
  ];
  return [
    `![GET reads the session, INC changes it; requests a second](${RAW}/docs/benchmarks/choice.svg)`,
    `${sentences.join(" ")} [All figures](${PAGES}/docs/benchmarks/README.md) have their conditions, and show where pgstore is slower.`,
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
const bullets = (lines: readonly string[]): string => lines.map((line) => `- ${line}`).join("\n");
