import type pg from "pg";
import { createDatabase, createPool, settle } from "../env/postgres.ts";
import { PgStore } from "../pgstore.ts";
import { pgstorePeer } from "../peers/pgstore.ts";
import { fillSql, keyOf } from "../rows.ts";
import { median, ratios, spread } from "../stats.ts";
import { numberText, spreadText } from "../text.ts";
import { closedLoop, oneByOne, rotate } from "./closed-loop.ts";
import { RowsOfPeer } from "./rows-of-peer.ts";
import type { Bench, ScenarioResult } from "./scenario.ts";

const IN_FLIGHT = 64;
/** The size that the target is about. */
const LARGEST = 10_000_000;
const FILL_AT_ONCE = 1_000_000;

/** Finds in tables of very different size. */
export async function measureGrowth(bench: Bench): Promise<ScenarioResult> {
  const { rows: sizes, rounds, blockMs, loneOperations } = bench.sizes.growth;
  const url = await createDatabase(bench.postgres, bench.undo);
  const pool = createPool(url, bench.undo);
  for (const size of sizes) {
    bench.log(`making ${numberText(size)} rows`);
    await fill(pool, tableOf(size), size);
  }
  await settle(pool);
  const megabytes = new Map<number, number>();
  for (const size of sizes) megabytes.set(size, await megabytesOf(pool, tableOf(size)));
  const tables = sizes.map((size) => ({ size, rows: new RowsOfPeer(pgstorePeer(pool, tableOf(size), keyOf), size) }));
  const lone: Record<number, number[]> = {};
  const busy: Record<number, number[]> = {};
  for (let round = -1; round < rounds; round++) {
    bench.log(round < 0 ? "warm-up" : `round ${round + 1} of ${rounds}`);
    for (const { size, rows } of rotate(tables, round + 1)) {
      const times = await oneByOne(loneOperations, () => rows.find(rows.pick()));
      const rate = await closedLoop(IN_FLIGHT, blockMs, (worker) => rows.find(rows.pick(worker, IN_FLIGHT)));
      if (round < 0) continue;
      (lone[size] ??= []).push(median(times) * 1000);
      // By Little's law: the mean time of an operation, in microseconds.
      (busy[size] ??= []).push((IN_FLIGHT / rate) * 1e6);
    }
  }
  const [smallest = 0] = sizes;
  const growth = (times: Record<number, number[]>, size: number): number[] =>
    ratios(times[size] ?? [], times[smallest] ?? []);
  const cells = (times: Record<number, number[]>, size: number): string[] => [
    spreadText(spread(times[size] ?? [])),
    spreadText(spread(growth(times, size))),
  ];
  const columns = [
    "rows",
    "MB with indexes",
    "alone: median, µs",
    "ratio",
    `${IN_FLIGHT} in flight: mean, µs`,
    "ratio",
  ];
  const measured = sizes.includes(LARGEST);
  return {
    name: "growth",
    title: "Growth: time of a find by rows in the table",
    tables: [
      {
        title: "Time of a find, and its ratio to that in the smallest table",
        columns,
        rows: sizes.map((size) => [
          numberText(size),
          numberText(megabytes.get(size) ?? 0),
          ...cells(lone, size),
          ...cells(busy, size),
        ]),
      },
    ],
    values: Object.fromEntries(
      sizes.flatMap((size) => [
        [`lone/${size}`, lone[size] ?? []],
        [`${IN_FLIGHT}/${size}`, busy[size] ?? []],
      ]),
    ),
    measures: measured
      ? { "growth/lone": growth(lone, LARGEST), "growth/64": growth(busy, LARGEST).map((ratio) => 1 / ratio) }
      : {},
    notes: [
      "Rows are picked at random among all: the working set is the whole table with the index of its key. What exceeds PostgreSQL's",
      "shared_buffers comes from the operating system's cache, as the machine has memory for all.",
    ],
  };
}

const tableOf = (size: number): string => `sessions_${size}`;

async function megabytesOf(pool: pg.Pool, table: string): Promise<number> {
  const { rows } = await pool.query<{ size: string }>("SELECT pg_total_relation_size($1::regclass) AS size", [table]);
  return Number(rows[0]?.size) / 1e6;
}

async function fill(pool: pg.Pool, table: string, size: number): Promise<void> {
  await new PgStore(pool, { table, cleanupInterval: 0 }).migrate();
  for (let from = 0; from < size; from += FILL_AT_ONCE) {
    await pool.query(fillSql(table, from, Math.min(from + FILL_AT_ONCE, size)));
  }
}
