/**
 * `npm run lookup-timing` here: how long the lookup of a right and of several wrong tokens takes. It reports, and judges
 * nothing: what a difference means is said in docs/security.md. `-- 1000` takes so many samples of each.
 */
import { createDatabase, openPostgres } from "../env/postgres.ts";
import { Undo } from "../env/undo.ts";
import { plainTable } from "../text.ts";
import { openLookups, timingTable } from "./lookups.ts";

const SAMPLES = 20_000;

const samples = Number(process.argv[2] ?? SAMPLES);
if (!Number.isInteger(samples) || samples < 100)
  throw new RangeError("the number of samples: a whole one, 100 at least");
const undo = new Undo();
try {
  const lookups = await openLookups(await createDatabase(await openPostgres(undo), undo), undo);
  console.log(plainTable(timingTable(await lookups.measure(samples))));
} finally {
  await undo.run();
}
