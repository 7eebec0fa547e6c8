import type pg from "pg";
import { createDatabase, createPool, settle } from "../env/postgres.ts";
import { openRedisClient } from "../env/redis.ts";
import { PgStore } from "../pgstore.ts";
import {
  createSessionTable,
  DROP_IN,
  expressSessionPeer,
  openDropIn,
  openPgSession,
} from "../peers/connect-pg-simple.ts";
import { connectRedisPeer } from "../peers/connect-redis.ts";
import { nodePostgresPeer } from "../peers/node-postgres.ts";
import type { Peer } from "../peers/peer.ts";
import { pgstorePeer } from "../peers/pgstore.ts";
import { fillSessSql, fillSql, keyOf } from "../rows.ts";
import { median, ratios, spread } from "../stats.ts";
import { numberText, type ResultTable, spreadText } from "../text.ts";
import { closedLoop, oneByOne, rotate } from "./closed-loop.ts";
import { RowsOfPeer } from "./rows-of-peer.ts";
import type { Bench, ScenarioResult } from "./scenario.ts";

const OPERATIONS = ["find", "save"] as const;
type Operation = (typeof OPERATIONS)[number];

/** Rows that are read again after a block of saves. */
const SAMPLE = 100;

/** Finds and saves, straight on the stores. */
export async function measureStore(bench: Bench): Promise<ScenarioResult> {
  const { rows, inFlight, rounds, blockMs } = bench.sizes.store;
  const peers = (await openPeers(bench)).map((peer) => new RowsOfPeer(peer, rows));
  const values: Record<string, number[]> = {};
  for (let round = -1; round < rounds; round++) {
    bench.log(round < 0 ? "warm-up" : `round ${round + 1} of ${rounds}`);
    for (const operation of OPERATIONS) {
      for (const workers of inFlight) {
        for (const peer of rotate(peers, round + 1)) {
          const rate = await measureBlock(peer, operation, workers, blockMs);
          if (round >= 0) (values[pathOf(operation, workers, peer.peer.name)] ??= []).push(rate);
        }
      }
    }
  }
  bench.log("alone in flight");
  const lone = await measureLone(bench, peers);
  const names = peers.map(({ peer }) => peer.name);
  return {
    name: "store",
    title: `Store level: ${numberText(rows)} rows of 200 bytes, pool of 10`,
    tables: [...OPERATIONS.map((operation) => rateTable(operation, inFlight, names, values)), lone.table],
    values: { ...values, ...lone.values },
    measures: { ...measuresOf(values), ...lone.measures },
    notes: [
      "Every value that is read is compared with what was saved last; rows are picked at random.",
      "pgstore's drop-in is its store for express-session, on a table of connect-pg-simple's own kind.",
      "pgstore and node-postgres return bytes; the others return parsed JSON of as many bytes.",
    ],
  };
}

const pathOf = (operation: Operation, workers: number, peer: string): string => `${operation}/${workers}/${peer}`;

async function openPeers(bench: Bench): Promise<Peer[]> {
  const { postgres, redis, undo } = bench;
  const { rows } = bench.sizes.store;
  const url = await createDatabase(postgres, undo);
  const pool = (): pg.Pool => createPool(url, undo);
  const admin = pool();
  for (const table of ["sessions", "sessions_plain"]) {
    await new PgStore(admin, { table, cleanupInterval: 0 }).migrate();
    await admin.query(fillSql(table, 0, rows));
  }
  for (const table of ["session", "session_too"]) {
    await createSessionTable(admin, table);
    await admin.query(fillSessSql(table, rows));
  }
  await settle(admin);
  const keys = Array.from({ length: rows }, (_, n) => keyOf(n));
  const key = (n: number): string => keys[n] ?? "";
  const peers = [
    pgstorePeer(pool(), "sessions", key),
    expressSessionPeer("connect-pg-simple", openPgSession(pool()), key),
    expressSessionPeer(DROP_IN, openDropIn(pool(), "session_too"), key),
    nodePostgresPeer(pool(), "sessions_plain", key),
  ];
  if (redis !== undefined) {
    const client = await openRedisClient(redis.url);
    undo.add(() => client.destroy());
    peers.push(await connectRedisPeer(client, "store:", keys));
  }
  return peers;
}

async function measureBlock(peer: RowsOfPeer, operation: Operation, workers: number, ms: number): Promise<number> {
  const saved = new Set<number>();
  const rate = await closedLoop(workers, ms, (worker) => {
    const n = peer.pick(worker, workers);
    if (operation === "find") return peer.find(n);
    if (saved.size < SAMPLE) saved.add(n);
    return peer.save(n);
  });
  for (const n of saved) await peer.find(n);
  return rate;
}

/** Blocks of operations with nothing else in flight; short ones, in turn, as the ratios are close to one. */
async function measureLone(bench: Bench, peers: readonly RowsOfPeer[]) {
  const { loneBlocks, loneOperations } = bench.sizes.store;
  // A save waits for the disk, so it takes several times as long.
  const counts: Record<Operation, number> = { find: loneOperations, save: loneOperations / 5 };
  const values: Record<string, number[]> = {};
  for (let block = -1; block < loneBlocks; block++) {
    for (const operation of OPERATIONS) {
      for (const peer of rotate(peers, block + 1)) {
        const times = await oneByOne(counts[operation], () => peer[operation](peer.pick()));
        if (block >= 0) (values[`lone ${operation}/${peer.peer.name}`] ??= []).push(median(times) * 1000);
      }
    }
  }
  const of = (operation: Operation, peer: string): number[] => values[`lone ${operation}/${peer}`] ?? [];
  const table = {
    title: "Alone in flight: median latency, µs",
    columns: ["", ...OPERATIONS],
    rows: peers.map(({ peer: { name } }) => [
      name,
      ...OPERATIONS.map((operation) => spreadText(spread(of(operation, name)))),
    ]),
  };
  const measures = Object.fromEntries(
    OPERATIONS.map((operation) => [
      `${operation}/lone`,
      ratios(of(operation, "pgstore"), of(operation, "node-postgres, prepared")),
    ]),
  );
  return { values, table, measures };
}

function rateTable(
  operation: Operation,
  inFlight: readonly number[],
  names: readonly string[],
  values: Record<string, number[]>,
): ResultTable {
  return {
    title: `${operation}, operations a second, by operations in flight`,
    columns: ["", ...inFlight.map(String)],
    rows: names.map((name) => [
      name,
      ...inFlight.map((workers) => spreadText(spread(values[pathOf(operation, workers, name)] ?? []))),
    ]),
  };
}

function measuresOf(values: Record<string, number[]>): Record<string, number[]> {
  const measures: Record<string, number[]> = {};
  for (const [path, rates] of Object.entries(values)) {
    const [operation, workers, peer] = path.split("/");
    const ours = values[`${operation}/${workers}/pgstore`];
    const theirs = values[`${operation}/${workers}/connect-pg-simple`];
    if (peer === DROP_IN && theirs !== undefined) measures[`drop-in/${operation}/${workers}`] = ratios(rates, theirs);
    if (peer !== "pgstore" && ours !== undefined) measures[path] = ratios(ours, rates);
  }
  return measures;
}
