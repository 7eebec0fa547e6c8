import { parseArgs } from "node:util";

export const SCENARIO_NAMES = ["store", "http", "growth", "cleanup", "touch", "memory"] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** How much is measured. */
export type Extent = "quick" | "default" | "full";

export interface ScenarioOptions {
  extent: Extent;
  scenarios: readonly ScenarioName[];
  /** Results go into the repository's documentation as well. */
  write: boolean;
}

/** What a command line asks for. */
export type Command =
  | ({ name: "scenarios" } & ScenarioOptions)
  | { name: "millions" | "timing"; count: number }
  | { name: "races" | "channels" | "help" };

/** The command line can't be understood; the message says why. */
export class UsageError extends Error {}

/** How many rows or samples a measurement takes. */
const COUNTS = {
  millions: { of: "rows", least: 10_000, usual: 5_000_000 },
  timing: { of: "samples", least: 100, usual: 20_000 },
} as const;

const NAMES = [...SCENARIO_NAMES, "races", "channels", "millions", "timing"];

export const USAGE = `npm run bench [name…] [-- options]

names (without one, every scenario):
  ${SCENARIO_NAMES.join(" ")}
                    scenarios: pgstore beside its peers
  races             two races of parallel requests, counted for each package
  channels          the cost of the diagnostics channels while nobody listens
  millions [rows]   every page and command on five million sessions
  timing [samples]  the time of lookups of right and wrong tokens, 20,000 of each

options, for scenarios:
  --quick           every scenario in small, under two minutes
  --full            the default, and 10 million rows in "growth"
  --write           puts the results into docs/benchmarks and README.md
  --help            shows this

Without --write the results are printed, and kept in bench/results.
BENCH_DATABASE_URL names a PostgreSQL to use instead of starting one. Its user must be allowed to create databases.`;

/** @throws UsageError */
export function parseCommand(args: string[]): Command {
  const { values, positionals } = read(args);
  const { help, ...options } = values;
  if (help) return { name: "help" };
  const unknown = positionals.find((name) => !NAMES.includes(name) && !/^\d/.test(name));
  if (unknown !== undefined) throw new UsageError(`there is no "${unknown}"; there are ${NAMES.join(", ")}`);
  const [name, count, ...rest] = positionals;
  switch (name) {
    case "races":
    case "channels":
    case "millions":
    case "timing": {
      for (const [option, isSet] of Object.entries(options)) {
        if (isSet) throw new UsageError(`--${option}: only scenarios take it, ${name} does not`);
      }
      const takesCount = name === "millions" || name === "timing";
      if (rest.length > 0 || (count !== undefined && !takesCount)) throw new UsageError(`${name} runs alone`);
      return takesCount ? { name, count: countOf(name, count) } : { name };
    }
    default:
      return { name: "scenarios", ...scenarioOptions(options, positionals) };
  }
}

function read(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        quick: { type: "boolean", default: false },
        full: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

function scenarioOptions(
  { quick, full, write }: { quick: boolean; full: boolean; write: boolean },
  names: string[],
): ScenarioOptions {
  if (quick && full) throw new UsageError("--quick and --full exclude each other");
  // Its ratios and tables are of one run.
  if (write && names.length > 0) throw new UsageError("--write needs every scenario, not only some");
  for (const name of names) {
    if (!(SCENARIO_NAMES as readonly string[]).includes(name)) throw new UsageError(`"${name}" is no scenario`);
  }
  return {
    extent: quick ? "quick" : full ? "full" : "default",
    // In the order in which they run, whatever the order of the names.
    scenarios: names.length === 0 ? SCENARIO_NAMES : SCENARIO_NAMES.filter((name) => names.includes(name)),
    write,
  };
}

function countOf(name: "millions" | "timing", text: string | undefined): number {
  const { of, least, usual } = COUNTS[name];
  const count = Number(text ?? usual);
  if (Number.isInteger(count) && count >= least) return count;
  throw new UsageError(`${name}: expected ${least.toLocaleString("en")} ${of} or more, got ${text}`);
}
