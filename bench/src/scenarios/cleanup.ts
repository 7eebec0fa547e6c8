import { type SeenStatement, watchStatements } from "../env/statements.ts";
import { createDatabase, createPool, settle } from "../env/postgres.ts";
import { PgStore } from "../pgstore.ts";
import { fillSql, keyOf, textOf } from "../rows.ts";
import { percentile, ratios, spread } from "../stats.ts";
import { numberText, spreadText } from "../text.ts";
import { type Bench, type ScenarioResult, WrongResultError } from "./scenario.ts";

/** What a round measured, times in milliseconds. */
interface Round {
  "p99 before": number;
  "p99 during": number;
  /** Of those that remove rows, and so hold locks. */
  "longest statement": number;
  /** Of those that count what is left, for the history. */
  "longest count": number;
  "seconds of cleanup": number;
}

/** Finds while expired rows are removed. */
export async function measureCleanup(bench: Bench): Promise<ScenarioResult> {
  const { expired, live, inFlight, rounds } = bench.sizes.cleanup;
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    bench.log(`round ${round + 1} of ${rounds}`);
    measured.push(await measureRound(bench));
  }
  const of = (what: keyof Round): number[] => measured.map((round) => round[what]);
  const row = (title: string, what: keyof Round): string[] => [title, spreadText(spread(of(what)))];
  return {
    name: "cleanup",
    title: `Cleanup: ${numberText(expired)} expired rows removed beside ${numberText(live)} live ones`,
    tables: [
      {
        title: `While ${inFlight} finds are in flight`,
        columns: ["", "measured"],
        rows: [
          row("find p99 before, ms", "p99 before"),
          row("find p99 during, ms", "p99 during"),
          row("longest statement that removes rows, ms", "longest statement"),
          row("longest statement that counts what is left, ms", "longest count"),
          row("the whole cleanup, s", "seconds of cleanup"),
        ],
      },
    ],
    values: {
      "p99/before": of("p99 before"),
      "p99/during": of("p99 during"),
      "statement/longest": of("longest statement"),
      "count/longest": of("longest count"),
      seconds: of("seconds of cleanup"),
    },
    measures: {
      "cleanup/p99": ratios(of("p99 during"), of("p99 before")),
      "cleanup/longest": of("longest statement"),
    },
    notes: ["Statements are timed where they are sent, waiting included. The number of removed rows is checked."],
  };
}

async function measureRound({ postgres, sizes, undo }: Bench): Promise<Round> {
  const { expired, live, inFlight, beforeMs } = sizes.cleanup;
  const url = await createDatabase(postgres, undo);
  const admin = createPool(url, undo);
  await new PgStore(admin, { cleanupInterval: 0 }).migrate();
  await admin.query(fillSql("sessions", 0, live));
  await admin.query(fillSql("sessions", live, live + expired, "now() - n * interval '1 ms'"));
  await settle(admin);

  const pool = createPool(url, undo);
  const statements: SeenStatement[] = [];
  watchStatements(pool, (statement) => statements.push(statement));
  const store = new PgStore(pool, { cleanupInterval: 0 });
  const before = await findUntil(store, live, inFlight, new Promise((resolve) => setTimeout(resolve, beforeMs)));
  const findTexts = new Set(statements.splice(0).map(({ text }) => text));
  const start = performance.now();
  const cleanup = store.deleteExpired();
  const during = await findUntil(store, live, inFlight, cleanup);
  const seconds = (performance.now() - start) / 1000;
  const removed = await cleanup;
  if (removed !== expired) throw new WrongResultError(`cleanup: ${removed} rows removed instead of ${expired}`);
  const { rows } = await admin.query<{ left: number }>("SELECT count(*)::int AS left FROM sessions");
  if (rows[0]?.left !== live) throw new WrongResultError(`cleanup: ${rows[0]?.left} rows left instead of ${live}`);
  const longest = (isRemoving: boolean): number => {
    const those = statements.filter(({ text }) => !findTexts.has(text) && text.includes("SKIP LOCKED") === isRemoving);
    return percentile(
      those.map(({ milliseconds }) => milliseconds),
      1,
    );
  };
  await pool.end();
  await admin.end();
  return {
    "p99 before": percentile(before, 0.99),
    "p99 during": percentile(during, 0.99),
    "longest statement": longest(true),
    "longest count": longest(false),
    "seconds of cleanup": seconds,
  };
}

/** Keeps finds in flight until something else has ended, and returns what each took, in milliseconds. */
async function findUntil(store: PgStore, live: number, inFlight: number, end: Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  const work = { ended: false };
  const keepFinding = async (): Promise<void> => {
    while (!work.ended) {
      const n = Math.floor(Math.random() * live);
      const key = keyOf(n);
      const start = performance.now();
      const found = await store.find(key);
      times.push(performance.now() - start);
      if (found === undefined || !Buffer.from(textOf(n, 0)).equals(found.data)) {
        throw new WrongResultError(`cleanup: row ${n} is not what was saved`);
      }
    }
  };
  const workers = Array.from({ length: inFlight }, keepFinding);
  try {
    await Promise.race([end, Promise.all(workers)]);
  } finally {
    work.ended = true;
  }
  await Promise.all(workers);
  return times;
}
