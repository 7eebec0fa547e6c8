import { createHash, randomBytes } from "node:crypto";
import pg from "pg";
import type { Undo } from "../env/undo.ts";
import { PgStore, SessionManager } from "../pgstore.ts";
import { median, medianInterval, percentile } from "../stats.ts";
import { numberText, type ResultTable } from "../text.ts";

/** What is looked up; the others are compared with `random`. */
const KINDS = {
  live: "a live session's token",
  random: "a random token",
  near: "a token whose hash is a live row's but for the last character",
  malformed: "no token: a character too many",
} as const;
type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[];

/** Microseconds, of each kind one in each round. */
export type Samples = Record<Kind, number[]>;

const ROWS = 10_000;
/** So many tokens of each kind take turns. */
const TOKENS = 500;
const WARM_UP = 500;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const createToken = (): string => randomBytes(32).toString("base64url");
const hashOf = (token: string): string => createHash("sha256").update(token).digest("base64url");

/** Fills a table, and measures the lookups in it by one connection. */
export async function openLookups(url: string, undo: Undo): Promise<{ measure(samples: number): Promise<Samples> }> {
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  pool.on("error", () => {});
  undo.add(() => pool.end());
  const store = new PgStore(pool, { cleanupInterval: 0 });
  await store.migrate();
  const manager = new SessionManager<{ user: string }>(store);
  const live: string[] = [];
  for (let n = 0; n < TOKENS; n++) {
    const session = await manager.load();
    session.set("user", `user ${n}`);
    await manager.commit(session);
    live.push(session.token ?? "");
  }
  const near = Array.from({ length: TOKENS }, createToken);
  // Rows beside the near tokens' keys, and others.
  const beside = near.map((token) => {
    const hash = hashOf(token);
    // By four, as the last one's two lower bits are none of the hash's.
    const last = ALPHABET[(ALPHABET.indexOf(hash.slice(-1)) + 4) % ALPHABET.length];
    return hash.slice(0, -1) + last;
  });
  const keys = [...beside, ...Array.from({ length: ROWS - 2 * TOKENS }, () => hashOf(createToken()))];
  await pool.query(
    `INSERT INTO sessions SELECT key, (SELECT data FROM sessions LIMIT 1), current_timestamp + interval '1 hour'
     FROM unnest($1::text[]) AS key`,
    [keys],
  );
  await pool.query("VACUUM ANALYZE sessions");

  const random = Array.from({ length: TOKENS }, createToken);
  const tokens: Record<Kind, string[]> = { live, random, near, malformed: random.map((token) => `${token}A`) };
  const time = async (kind: Kind, round: number): Promise<number> => {
    const token = tokens[kind][round % TOKENS];
    const begun = process.hrtime.bigint();
    const session = await manager.load(token);
    const microseconds = Number(process.hrtime.bigint() - begun) / 1000;
    if ((session.get("user") !== undefined) !== (kind === "live")) throw new Error(`${KINDS[kind]}: a wrong answer`);
    return microseconds;
  };
  return {
    async measure(samples) {
      const taken: Samples = { live: [], random: [], near: [], malformed: [] };
      for (let round = -WARM_UP; round < samples; round++) {
        // In another order each time, as what comes first may warm up what comes next.
        for (const kind of shuffled(kinds)) {
          const microseconds = await time(kind, round + WARM_UP);
          if (round >= 0) taken[kind].push(microseconds);
        }
      }
      return taken;
    },
  };
}

/** The difference from a random token is taken round by round. */
export function timingTable(samples: Samples): ResultTable {
  const rows = kinds.map((kind) => {
    const differences = samples[kind].map((value, round) => value - (samples.random[round] ?? Number.NaN));
    const [low, high] = medianInterval(differences);
    const difference =
      kind === "random" ? "" : `${numberText(median(differences))} [${numberText(low)} to ${numberText(high)}]`;
    return [KINDS[kind], numberText(median(samples[kind])), numberText(percentile(samples[kind], 0.95)), difference];
  });
  return {
    title: `Lookups of tokens, ${samples.random.length} of each, in µs`,
    columns: ["", "median", "95th percentile", "from a random token [95 % confidence]"],
    rows,
  };
}

function shuffled<T>(values: readonly T[]): T[] {
  const left = [...values];
  return values.flatMap(() => left.splice(Math.floor(Math.random() * left.length), 1));
}
