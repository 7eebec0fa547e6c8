import type { Cores } from "../env/cores.ts";
import type { Machine } from "../env/machine.ts";
import type { Extent } from "../options.ts";
import type { ScenarioResult } from "../scenarios/scenario.ts";
import type { Verdict } from "../targets.ts";

/** A whole run: what was measured, on what, and how it compares with the targets. */
export interface Run {
  date: string;
  extent: Extent;
  seconds: number;
  machine: Machine;
  /** By name: Node.js, PostgreSQL, Redis, packages. */
  versions: Record<string, string>;
  /** PostgreSQL's, by name. */
  settings: Record<string, string>;
  /** The server was started by the run; otherwise it is that of BENCH_DATABASE_URL. */
  ownPostgres: boolean;
  hasRedis: boolean;
  cores: Cores | undefined;
  results: ScenarioResult[];
  verdicts: Verdict[];
}

/** The conditions of a run, in sentences. */
export function conditionsOf(run: Run): string[] {
  const { machine, versions, settings, cores } = run;
  const list = (entries: Record<string, string>, join: string): string =>
    Object.entries(entries)
      .map(([name, value]) => `${name}${join}${value}`)
      .join(", ");
  return [
    `Measured ${run.date.slice(0, 10)}, ${run.extent} extent, in ${Math.round(run.seconds)} s.`,
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memory} of memory; ${machine.os}.`,
    `Versions: ${list(versions, " ")}.`,
    `PostgreSQL ${run.ownPostgres ? "was started for the run" : "is that of BENCH_DATABASE_URL"}: ${list(settings, " = ")}.`,
    run.hasRedis
      ? "Redis was started for the run: --save '' --appendonly no, so it writes nothing to the disk."
      : "There is no redis-server on this machine: its rows are left out.",
    cores === undefined
      ? "No process is bound to a core: there is no taskset, or only one core."
      : `What is measured has core ${cores.measured} to itself; ${
          run.ownPostgres ? "PostgreSQL, Redis" : "Redis (a PostgreSQL that was not started here can't be bound)"
        } and the load generator share ${cores.others.includes(",") ? "cores" : "core"} ${cores.others}.`,
    "Numbers are medians of the rounds, with their range. In each round all take turns, so that ratios are of the same time.",
  ];
}
