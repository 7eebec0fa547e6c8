import { divideCores, pin } from "./env/cores.ts";
import { openPostgres } from "./env/postgres.ts";
import { openRedis } from "./env/redis.ts";
import { Undo } from "./env/undo.ts";
import { type BenchOptions, parseOptions, USAGE, UsageError } from "./options.ts";
import { report } from "./report/report.ts";
import { SCENARIOS } from "./scenarios/all.ts";
import type { Bench, ScenarioResult } from "./scenarios/scenario.ts";
import { SIZES } from "./sizes.ts";

const undo = new Undo();

/** Measures, and tidies up however it ends. */
async function main(options: BenchOptions): Promise<void> {
  const started = performance.now();
  const log = (line: string): void => {
    process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
  };
  const cores = divideCores();
  // What is started now stays on these cores; this process then moves to the one for what is measured.
  pin(process.pid, cores?.others);
  log("starting PostgreSQL and Redis");
  const postgres = await openPostgres(undo);
  const redis = await openRedis(undo);
  pin(process.pid, cores?.measured);
  const results: ScenarioResult[] = [];
  for (const name of options.only) {
    const undoScenario = new Undo();
    undo.add(() => undoScenario.run());
    const bench: Bench = {
      postgres,
      redis,
      cores,
      sizes: SIZES[options.extent],
      undo: undoScenario,
      log: (line) => log(`${name}: ${line}`),
    };
    results.push(await SCENARIOS[name](bench));
    await undoScenario.run();
  }
  await report({ options, postgres, redis, cores, results, seconds: (performance.now() - started) / 1000 });
}

async function run(): Promise<void> {
  let options: BenchOptions;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  if (options.help) {
    console.log(USAGE);
    return;
  }
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted = true;
      void undo.run().then(() => process.exit(130));
    });
  }
  try {
    await main(options);
  } catch (error) {
    // What was under way fails as its database goes away.
    if (interrupted) return;
    console.error(error);
    process.exitCode = 1;
  }
  await undo.run();
}

await run();
