/**
 * `npm run bench races`: two races that every application with parallel requests runs into, against each package, counted.
 * Ends with 1 when pgstore loses one.
 */
import { openPostgres, createDatabase } from "../env/postgres.ts";
import { Undo } from "../env/undo.ts";
import { plainTable } from "../text.ts";
import { CONTESTANTS, type Contestant } from "./contestants.ts";
import { keysKept, revivals } from "./races.ts";

const ROUNDS = 40;
const WRITERS = 10;

export async function run(): Promise<void> {
  const undo = new Undo();
  try {
    const postgres = await openPostgres(undo);
    const rows: string[][] = [];
    let isBroken = false;
    for (const contestant of CONTESTANTS) {
      const { revived, kept } = await measure(contestant, await createDatabase(postgres, undo));
      rows.push([contestant.name, `${revived} of ${ROUNDS}`, `${kept} of ${ROUNDS * WRITERS}`]);
      if (contestant.promises.noRevival && revived > 0) isBroken = true;
      if (contestant.promises.noLoss && kept < ROUNDS * WRITERS) isBroken = true;
    }
    const columns = ["", "logged in again by a late save", `keys kept of ${WRITERS} parallel writers`];
    console.log(plainTable({ title: `Two races, ${ROUNDS} rounds`, columns, rows }));
    if (isBroken) process.exitCode = 1;
  } finally {
    await undo.run();
  }
}

async function measure(contestant: Contestant, url: string): Promise<{ revived: number; kept: number }> {
  const app = await contestant.start(url);
  try {
    return { revived: await revivals(app, ROUNDS), kept: await keysKept(app, ROUNDS, WRITERS) };
  } finally {
    await app.close();
  }
}
