import type { Cores } from "../env/cores.ts";
import type { Postgres } from "../env/postgres.ts";
import type { Redis } from "../env/redis.ts";
import type { BenchOptions } from "../options.ts";
import type { ScenarioResult } from "../scenarios/scenario.ts";
import { judge, TARGETS, verdictTable } from "../targets.ts";
import { plainTable } from "../text.ts";

/** A whole run. */
export interface Run {
  options: BenchOptions;
  postgres: Postgres;
  redis: Redis | undefined;
  cores: Cores | undefined;
  results: ScenarioResult[];
  seconds: number;
}

/** Shows the results and keeps them. */
export async function report(run: Run): Promise<void> {
  for (const result of run.results) {
    console.log(`\n== ${result.title}\n`);
    for (const table of result.tables) console.log(`${plainTable(table)}\n`);
    for (const note of result.notes) console.log(note);
  }
  const measures = Object.assign({}, ...run.results.map((result) => result.measures)) as Record<string, number[]>;
  console.log(`\n${plainTable(verdictTable(judge(TARGETS, measures)))}`);
}
