/**
 * `npm run bench channels`: what the channels cost a find while nobody listens, against the same build without them, side by
 * side in one process. A second build without them, against the first one, shows what the machine makes up. Ends with 1
 * when the cost is above the target.
 */
import { Child } from "../env/child.ts";
import { divideCores, pin } from "../env/cores.ts";
import { createDatabase, createPool, openPostgres, settle } from "../env/postgres.ts";
import { Undo } from "../env/undo.ts";
import { fillSql } from "../rows.ts";
import { median, percentile, ratios } from "../stats.ts";
import { plainTable } from "../text.ts";
import { PgStore } from "../pgstore.ts";
import type { ChannelsAnswer, ChannelsQuestion } from "./process.ts";
import { built, silentCopy } from "./silent.ts";

const TARGET = 1.02;
const ROWS = 1000;
/** What a compiler makes of code, and where it puts it, differs from process to process. */
const PROCESSES = 6;
const ROUNDS = 150;
const CHANNELS = ["load", "commit", "batch", "store-error", "cleanup"].map((name) => `pgstore:${name}`);

type Case = Pick<ChannelsQuestion, "inFlight" | "asksDatabase" | "finds" | "listenTo">;

/** Blocks are short, so that whatever disturbs the machine disturbs all builds, or few blocks. */
const CASES: readonly (Case & { name: string; isTarget: boolean })[] = [
  { name: "1 in flight", inFlight: 1, asksDatabase: true, finds: 16, listenTo: [], isTarget: true },
  { name: "64 in flight", inFlight: 64, asksDatabase: true, finds: 320, listenTo: [], isTarget: true },
  { name: "1, no database", inFlight: 1, asksDatabase: false, finds: 500, listenTo: [], isTarget: false },
  {
    name: "the same, with listeners",
    inFlight: 1,
    asksDatabase: false,
    finds: 500,
    listenTo: CHANNELS,
    isTarget: false,
  },
];

/** Ratios of processor time and of elapsed time, a value of each round. */
interface Cost {
  processor: number[];
  elapsed: number[];
}

export async function run(): Promise<void> {
  const undo = new Undo();
  try {
    const cores = divideCores();
    pin(process.pid, cores?.others);
    const postgres = await openPostgres(undo);
    const url = await createDatabase(postgres, undo);
    const pool = createPool(url, undo);
    await new PgStore(pool, { cleanupInterval: 0 }).migrate();
    await pool.query(fillSql("sessions", 0, ROWS));
    await settle(pool);
    const silent = [await silentCopy(undo), await silentCopy(undo)] as const;

    const rows: string[][] = [];
    let isMissed = false;
    for (const { name, isTarget, ...one } of CASES) {
      const { channels, control } = await measure(one);
      rows.push([name, describe(channels.processor), describe(control.processor), describe(channels.elapsed)]);
      if (isTarget && median(channels.processor) > TARGET) isMissed = true;
    }
    const title =
      `A find with channels / without, ${PROCESSES * ROUNDS} rounds in ${PROCESSES} processes: ` +
      "median (95 % confidence of it) [quartiles]";
    const columns = ["", "processor time", "control: without / without", "elapsed time"];
    console.log(plainTable({ title, columns, rows }));
    console.log("Without a database its answers, recorded, come at once: what is left is pgstore's own work.");
    console.log(`Target: at most ${TARGET} of the processor time while nobody listens: ${isMissed ? "missed" : "met"}`);
    if (isMissed) process.exitCode = 1;

    async function measure(one: Case): Promise<{ channels: Cost; control: Cost }> {
      const channels: Cost = { processor: [], elapsed: [] };
      const control: Cost = { processor: [], elapsed: [] };
      const builds = [built, ...silent];
      const [first, second] = silent;
      for (let n = 0; n < PROCESSES; n++) {
        const undoProcess = new Undo();
        undo.add(() => undoProcess.run());
        const child = new Child("channels/process.ts", undoProcess);
        pin(child.pid, cores?.measured);
        // Each build is loaded first in as many processes as the others.
        const order = [...builds.slice(n % builds.length), ...builds.slice(0, n % builds.length)];
        const question: ChannelsQuestion = { ...one, url, builds: order, rows: ROWS, rounds: ROUNDS };
        const answer = await child.ask<ChannelsAnswer>(question);
        await undoProcess.run();
        for (const what of ["processor", "elapsed"] as const) {
          const of = (build: string): number[] => answer[build]?.[what] ?? [];
          channels[what].push(...ratios(of(built), of(first)));
          control[what].push(...ratios(of(second), of(first)));
        }
      }
      return { channels, control };
    }
  } finally {
    await undo.run();
  }
}

function describe(values: readonly number[]): string {
  const at = (share: number): string => percentile(values, share).toFixed(3);
  // By rank: the median of the population lies between these with a chance of 95 %.
  const margin = 0.98 / Math.sqrt(values.length);
  return `${median(values).toFixed(3)} (${at(0.5 - margin)}–${at(0.5 + margin)}) [${at(0.25)}–${at(0.75)}]`;
}
