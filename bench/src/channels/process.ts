// The process in which the builds take turns: the same driver, database and machine code of Node for all.
import { subscribe } from "node:diagnostics_channel";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { answerQuestions } from "../env/child.ts";
import type * as library from "../pgstore.ts";
import { keyOf, textOf } from "../rows.ts";
import { RecordedClient } from "./recorded.ts";

export interface ChannelsQuestion {
  url: string;
  /** Folders with a build each, in the order in which they are loaded. */
  builds: string[];
  rows: number;
  inFlight: number;
  /** Answers come from the database; otherwise they were recorded, and come at once. */
  asksDatabase: boolean;
  rounds: number;
  /** Finds in a block, of which a round has two for each build. */
  finds: number;
  /** Channels to listen to. */
  listenTo: string[];
}

/** Of each build, by its folder: microseconds of a find in each round. */
export type ChannelsAnswer = Record<string, { elapsed: number[]; processor: number[] }>;

type Find = (n: number) => Promise<void>;

const WARM_UP = 50;

async function measure(question: ChannelsQuestion): Promise<ChannelsAnswer> {
  const { url, builds, rounds, listenTo } = question;
  const pools: pg.Pool[] = [];
  const finds = new Map<string, Find>();
  for (const build of builds) {
    const pool = new pg.Pool({ connectionString: url, max: 10 });
    pool.on("error", () => {});
    pools.push(pool);
    finds.set(build, await openBuild(build, pool, question));
  }
  for (const channel of listenTo) subscribe(channel, () => {});
  const answer: ChannelsAnswer = Object.fromEntries(builds.map((build) => [build, { elapsed: [], processor: [] }]));
  for (let round = -WARM_UP; round < rounds; round++) {
    const sums = new Map(builds.map((build) => [build, { elapsed: 0, processor: 0 }]));
    // There and back, so that what changes in the course of a round changes for all.
    const first = (round + WARM_UP) % builds.length;
    const order = [...builds.slice(first), ...builds.slice(0, first)];
    for (const build of [...order, ...order.toReversed()]) {
      const block = await measureBlock(finds.get(build) as Find, question);
      const sum = sums.get(build);
      if (sum === undefined) continue;
      sum.elapsed += block.elapsed / 2;
      sum.processor += block.processor / 2;
    }
    if (round < 0) continue;
    for (const [build, { elapsed, processor }] of sums) {
      answer[build]?.elapsed.push(elapsed);
      answer[build]?.processor.push(processor);
    }
  }
  await Promise.all(pools.map((pool) => pool.end()));
  return answer;
}

async function openBuild(build: string, pool: pg.Pool, { asksDatabase, rows }: ChannelsQuestion): Promise<Find> {
  const { PgStore } = (await import(pathToFileURL(join(build, "index.js")).href)) as typeof library;
  const client = new RecordedClient(pool);
  const store = new PgStore(asksDatabase ? pool : client, { cleanupInterval: 0 });
  const find: Find = async (n) => {
    const found = await store.find(keys[n] ?? "");
    if (found === undefined || !(texts[n] as Buffer).equals(found.data)) throw new Error(`row ${n} is another`);
  };
  const numbers = Array.from({ length: rows }, (_, n) => n);
  const keys = numbers.map(keyOf);
  const texts = numbers.map((n) => Buffer.from(textOf(n, 0)));
  for (const n of numbers) await find(n);
  client.replay();
  return find;
}

async function measureBlock(find: Find, { rows, inFlight, finds }: ChannelsQuestion) {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < finds) await find((next++ * 7919) % rows);
  };
  const begun = performance.now();
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: inFlight }, work));
  const { user, system } = process.cpuUsage(before);
  return { elapsed: ((performance.now() - begun) * 1000) / finds, processor: (user + system) / finds };
}

answerQuestions(measure);
