import { divideCores, pin } from "../env/cores.ts";
import { describeMachine, packageVersions } from "../env/machine.ts";
import { openPostgres } from "../env/postgres.ts";
import { openRedis } from "../env/redis.ts";
import { Undo } from "../env/undo.ts";
import type { ScenarioOptions } from "../options.ts";
import { keep, print } from "../report/report.ts";
import type { Run } from "../report/run.ts";
import { SCENARIOS } from "./all.ts";
import type { Bench, ScenarioResult } from "./scenario.ts";
import { SIZES } from "../sizes.ts";
import { judge, TARGETS } from "../targets.ts";

const undo = new Undo();

/** Measures, and tidies up however it ends. */
async function measure(options: ScenarioOptions): Promise<void> {
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
  for (const name of options.scenarios) {
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
  const { own: ownPostgres, version, settings } = postgres;
  const run: Run = {
    date: new Date().toISOString(),
    extent: options.extent,
    seconds: (performance.now() - started) / 1000,
    machine: describeMachine(),
    versions: {
      "Node.js": process.versions.node,
      PostgreSQL: version,
      ...(redis === undefined ? {} : { Redis: redis.version }),
      ...packageVersions(),
    },
    settings,
    ownPostgres,
    hasRedis: redis !== undefined,
    cores,
    results,
    verdicts: judge(TARGETS, Object.assign({}, ...results.map(({ measures }) => measures)) as Record<string, number[]>),
  };
  print(run);
  for (const file of await keep(run, options.write)) log(`wrote ${file}`);
}

export async function run(options: ScenarioOptions): Promise<void> {
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted = true;
      void undo.run().then(() => process.exit(130));
    });
  }
  try {
    await measure(options);
  } catch (error) {
    // What was under way fails as its database goes away.
    if (interrupted) return;
    console.error(error);
    process.exitCode = 1;
  }
  await undo.run();
}
