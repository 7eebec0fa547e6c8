/**
 * `npm run bench timing`: how long the lookup of a right and of several wrong tokens takes. It reports, and judges
 * nothing: what a difference means is said in docs/security/requirements.md. `npm run bench timing 1000` takes so many samples of each.
 */
import { createDatabase, openPostgres } from "../env/postgres.ts";
import { Undo } from "../env/undo.ts";
import { plainTable } from "../text.ts";
import { openLookups, timingTable } from "./lookups.ts";

export async function run(samples: number): Promise<void> {
  const undo = new Undo();
  try {
    const lookups = await openLookups(await createDatabase(await openPostgres(undo), undo), undo);
    console.log(plainTable(timingTable(await lookups.measure(samples))));
  } finally {
    await undo.run();
  }
}
