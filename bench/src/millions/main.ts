/**
 * `npm run bench millions`: makes five million sessions (`npm run bench millions 100000`: as many), and says how long the database works for each
 * page of the dashboard, each command and what concerns users. Ends with 1 when one takes a second or more.
 */
import pg from "pg";
import { createDatabase, createPool, openPostgres } from "../env/postgres.ts";
import { Undo } from "../env/undo.ts";
import { PgStore } from "../pgstore.ts";
import { numberText, plainTable } from "../text.ts";
import { type Step, stepsOn } from "./steps.ts";
import { BUSY, fill } from "./table.ts";

/** Milliseconds of the database's time. */
const MOST = 1000;

export async function run(rows: number): Promise<void> {
  const undo = new Undo();
  try {
    const server = await openPostgres(undo);
    const url = await createDatabase(server, undo);
    const filler = createPool(url, undo);
    await new PgStore(filler, { cleanupInterval: 0 }).migrate();
    await fill(filler, rows, (done) => console.error(`${numberText(done)} of ${numberText(rows)} rows`));
    await filler.end();
    const taken: string[][] = [];
    let tooSlow = 0;
    // Whose connections end when they have nothing to do: only then the server counts what they have done.
    const pool = new pg.Pool({ connectionString: url, max: 10, idleTimeoutMillis: 10 });
    undo.add(() => pool.end());
    for (const step of stepsOn(url, pool)) {
      const { all, database } = await measure(url, step);
      if (step.slow !== true && database >= MOST) tooSlow++;
      taken.push([step.name, numberText(database), numberText(all), step.slow === true ? "may" : ""]);
    }
    const title = `PostgreSQL ${server.version}, ${numberText(rows)} sessions, a user with ${numberText(BUSY.sessions)} of them:`;
    console.log(plainTable({ title, columns: ["", "database, ms", "in all, ms", "take longer"], rows: taken }));
    if (tooSlow > 0) {
      console.log(`${tooSlow} of them took a second or more of the database's time`);
      process.exitCode = 1;
    }
  } finally {
    await undo.run();
  }
}

/** Milliseconds: of the database's backends that were busy meanwhile, and from beginning to end. */
async function measure(url: string, step: Step): Promise<{ all: number; database: number }> {
  const before = await activeTime(url);
  const begun = performance.now();
  await step.run();
  const all = performance.now() - begun;
  return { all, database: (await activeTime(url)) - before };
}

/**
 * What the server counts as busy on this database. Backends report it when they have nothing to do, some time later, so it is
 * asked until nothing is added any more.
 */
async function activeTime(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let last = -1;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1200));
      const { rows: found } = await client.query<{ ms: number }>(
        "SELECT active_time AS ms FROM pg_stat_database WHERE datname = current_database()",
      );
      const ms = found[0]?.ms ?? 0;
      if (Math.abs(ms - last) < 1) return ms;
      last = ms;
    }
  } finally {
    await client.end();
  }
}
