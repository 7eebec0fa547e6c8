import { createDatabase, createPool } from "../env/postgres.ts";
import { watchStatements } from "../env/statements.ts";
import { type ConditionalStore, type Duration, PgStore, SessionManager, type StoreExtras } from "../pgstore.ts";
import { numberText } from "../text.ts";
import { type Bench, type ScenarioResult, WrongResultError } from "./scenario.ts";

const IDLE_MINUTES = 20;

interface Data {
  name: string;
}

/** What the clicks cost, by touchAfter. */
interface Cost {
  clicks: number;
  statements: number;
  rowsWritten: number;
  rowsHot: number;
  tableBytes: number;
  indexBytes: number;
}

/** Writes that touchAfter saves, in simulated time. */
export async function measureTouch(bench: Bench): Promise<ScenarioResult> {
  const { sessions, everySeconds, minutes } = bench.sizes.touch;
  bench.log("touchAfter default");
  const byDefault = await measureClicks(bench, undefined);
  bench.log("touchAfter 0");
  const always = await measureClicks(bench, 0);
  const row = (title: string, of: (cost: Cost) => number): string[] => [
    title,
    numberText(of(byDefault)),
    numberText(of(always)),
  ];
  return {
    name: "touch",
    title:
      `Writes saved: ${numberText(sessions)} sessions, a click every ${everySeconds} s for ${minutes} simulated minutes, ` +
      `idle timeout of ${IDLE_MINUTES} minutes`,
    tables: [
      {
        title: "What the clicks wrote",
        columns: ["", "touchAfter default", "touchAfter 0"],
        rows: [
          row("clicks", ({ clicks }) => clicks),
          row("statements that write", ({ statements }) => statements),
          row("rows written", ({ rowsWritten }) => rowsWritten),
          row("of these without a new index entry (HOT)", ({ rowsHot }) => rowsHot),
          row("table afterwards, KiB", ({ tableBytes }) => tableBytes / 1024),
          row("indexes afterwards, KiB", ({ indexBytes }) => indexBytes / 1024),
        ],
      },
    ],
    values: Object.fromEntries(
      Object.keys(always).map((what) => [what, [byDefault[what as keyof Cost], always[what as keyof Cost]]]),
    ),
    measures: { "touch/rows": [byDefault.rowsWritten / always.rowsWritten] },
    notes: [
      "The time is simulated, the finds and writes are real. Autovacuum is off for this table, as two hours pass in",
      "less than a few minutes. Rows are counted by PostgreSQL; the expiries are checked at the end.",
    ],
  };
}

async function measureClicks({ postgres, sizes, undo }: Bench, touchAfter: Duration | undefined): Promise<Cost> {
  const { sessions, everySeconds, minutes } = sizes.touch;
  const url = await createDatabase(postgres, undo);
  const pool = createPool(url, undo);
  let statements = 0;
  watchStatements(pool, ({ text }) => {
    if (/\bUPDATE\b/.test(text)) statements++;
  });
  const store = new PgStore(pool, { cleanupInterval: 0 });
  await store.migrate();
  await pool.query("ALTER TABLE sessions SET (autovacuum_enabled = off)");

  let now = Date.now();
  const options = { idleTimeout: IDLE_MINUTES * 60_000, ...(touchAfter === undefined ? {} : { touchAfter }) };
  const manager = new SessionManager<Data>(
    atTime(store, () => now),
    options,
  );
  const tokens = await Promise.all(
    Array.from({ length: sessions }, async (_, n) => {
      const session = await manager.load();
      session.set("name", `user ${n}`);
      await manager.commit(session);
      return session.token;
    }),
  );
  statements = 0;
  const clickTimes = (minutes * 60) / everySeconds;
  for (let click = 0; click < clickTimes; click++) {
    now += everySeconds * 1000;
    await Promise.all(
      tokens.map(async (token, n) => {
        const session = await manager.load(token);
        if (session.get("name") !== `user ${n}`) throw new WrongResultError(`touch: session ${n} is another`);
        await manager.commit(session);
      }),
    );
  }
  const { rows: expiries } = await pool.query<{ first: Date; last: Date }>(
    "SELECT min(expiry) AS first, max(expiry) AS last FROM sessions",
  );
  const promised = now + IDLE_MINUTES * 60_000;
  const [range] = expiries;
  if (range === undefined || +range.last > promised || +range.first < promised - manager.options.touchAfter) {
    throw new WrongResultError("touch: an expiry is not within touchAfter of what was promised");
  }
  // The server counts what a connection did at its end.
  await pool.end();
  return { clicks: clickTimes * sessions, statements, ...(await tableCosts(url, undo)) };
}

/** The same store at another time: what the manager takes for now decides what is due. */
function atTime(store: PgStore, now: () => number): ConditionalStore & StoreExtras {
  return {
    now,
    find: (token) => store.find(token),
    save: (...args) => store.save(...args),
    delete: (token) => store.delete(token),
    create: (...args) => store.create(...args),
    replace: (...args) => store.replace(...args),
    renew: (...args) => store.renew(...args),
    touch: (...args) => store.touch(...args),
  };
}

async function tableCosts(url: string, undo: Bench["undo"]) {
  const pool = createPool(url, undo);
  const { rows } = await pool.query<Omit<Cost, "clicks" | "statements">>(
    `SELECT n_tup_upd::int AS "rowsWritten", n_tup_hot_upd::int AS "rowsHot",
       pg_table_size('sessions')::int AS "tableBytes", pg_indexes_size('sessions')::int AS "indexBytes"
     FROM pg_stat_user_tables WHERE relname = 'sessions'`,
  );
  await pool.end();
  const [costs] = rows;
  if (costs === undefined) throw new Error("PostgreSQL has no statistics of the table");
  return costs;
}
