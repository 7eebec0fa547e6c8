/**
 * Runs many random programs on a plain and on a held response:
 *
 *     npm run differential -- --programs 100000 --seed 1
 *
 * Prints how many, how long and with which seed; for a difference also the smallest program that shows it, and ends with 1.
 */
import { parseArgs } from "node:util";
import { againstPlain, inTrouble, plainAgainstPlain, runPrograms } from "./run.ts";

const { values } = parseArgs({
  options: {
    programs: { type: "string", default: "100000" },
    seed: { type: "string" },
    /** Compares plain responses with one another. */
    plain: { type: "boolean", default: false },
    /** Lets commits fail and handlers throw. */
    trouble: { type: "boolean", default: false },
  },
});
const report = await runPrograms(values.plain ? plainAgainstPlain : values.trouble ? inTrouble : againstPlain, {
  programs: Number(values.programs),
  seed: values.seed === undefined ? undefined : Number(values.seed),
});
console.log(`${report.count} programs, seed ${report.seed}, ${report.seconds} seconds`);
if (report.counterexample === undefined) console.log("no difference");
else console.log(`\n${report.counterexample}`);
process.exit(report.counterexample === undefined ? 0 : 1);
