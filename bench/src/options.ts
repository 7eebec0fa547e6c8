import { parseArgs } from "node:util";

export const SCENARIO_NAMES = ["store", "http", "growth", "cleanup", "touch", "memory"] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** How much is measured. */
export type Extent = "quick" | "default" | "full";

export interface BenchOptions {
  extent: Extent;
  only: readonly ScenarioName[];
  /** Results go into the repository's documentation as well. */
  write: boolean;
  help: boolean;
}

/** The command line can't be understood; the message says why. */
export class UsageError extends Error {}

export const USAGE = `npm run bench -- [options]

  --quick         every scenario in small, under two minutes
  --full          the default, and 10 million rows in "growth"
  --only a,b      only these scenarios: ${SCENARIO_NAMES.join(", ")}
  --write         puts the results into docs/benchmarks and README.md
  --help          shows this

Without --write the results are printed, and kept in bench/results.
BENCH_DATABASE_URL names a PostgreSQL to use instead of starting one; its user must be allowed to create databases.`;

/** @throws UsageError */
export function parseOptions(args: string[]): BenchOptions {
  const { quick, full, only, write, help } = read(args);
  if (quick && full) throw new UsageError("--quick and --full exclude each other");
  // Its ratios and tables are of one run.
  if (write && only !== undefined) throw new UsageError("--write needs every scenario, not only some");
  return {
    extent: quick ? "quick" : full ? "full" : "default",
    only: only === undefined ? SCENARIO_NAMES : scenariosOf(only),
    write,
    help,
  };
}

function read(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        quick: { type: "boolean", default: false },
        full: { type: "boolean", default: false },
        only: { type: "string" },
        write: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

/** In the order in which they run, whatever the order of the names. */
function scenariosOf(list: string): ScenarioName[] {
  const names = list.split(",").map((name) => name.trim());
  for (const name of names) {
    if (!(SCENARIO_NAMES as readonly string[]).includes(name)) {
      throw new UsageError(`--only: there is no scenario "${name}"; there are ${SCENARIO_NAMES.join(", ")}`);
    }
  }
  return SCENARIO_NAMES.filter((name) => names.includes(name));
}
