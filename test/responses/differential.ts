/**
 * Runs many random programs on a plain and on a held response:
 *
 *     npm run differential -- --programs 100000 --seed 1
 *
 * `--experiment trouble` lets commits fail and handlers throw, `held2` and `trouble2` are HTTP/2, `plain` and `plain2` compare plain responses with
 * one another. Prints how many programs, how long and with which seed. When one fails, prints the smallest such program and the
 * `--path` that runs it again with that seed, and ends with 1.
 */
import { parseArgs } from "node:util";
import { EXPERIMENTS, type Experiment, runPrograms } from "./run.ts";

const { values } = parseArgs({
  options: {
    programs: { type: "string", default: "100000" },
    seed: { type: "string" },
    path: { type: "string" },
    experiment: { type: "string", default: "held" },
  },
});
const experiment = (EXPERIMENTS as Record<string, Experiment>)[values.experiment];
if (experiment === undefined) throw new Error(`--experiment: expected one of ${Object.keys(EXPERIMENTS).join(", ")}`);
const report = await runPrograms(experiment, {
  programs: Number(values.programs),
  seed: values.seed === undefined ? undefined : Number(values.seed),
  path: values.path,
});
console.log(`${values.experiment}: ${report.count} programs, seed ${report.seed}, ${report.seconds} seconds`);
console.log(
  report.counterexample === undefined ? "no difference" : `--path ${report.path}\n\n${report.counterexample}`,
);
process.exit(report.counterexample === undefined ? 0 : 1);
