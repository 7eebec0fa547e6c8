// The process whose heap is measured: it must hold nothing else.
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { answerQuestions } from "../env/child.ts";
import { PgStore, type Session, SessionManager } from "../pgstore.ts";

export interface MemoryQuestion {
  url: string;
  sessions: number;
  rounds: number;
}

interface Data {
  user: number;
  name: string;
  cart: { article: number; count: number }[];
}

/** Loads begun at once: below what a store lets wait. */
const LOADS_AT_ONCE = 500;

/** Returns the bytes of heap for each session, a value of each round. */
async function measure({ url, sessions, rounds }: MemoryQuestion): Promise<number[]> {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  const store = new PgStore(pool, { cleanupInterval: 0 });
  await store.migrate();
  const manager = new SessionManager<Data>(store, { idleTimeout: "20m" });
  const tokens = await inSlices(sessions, async (n) => {
    const session = await manager.load();
    session.set("user", n);
    session.set("name", `user number ${n}`);
    session.set(
      "cart",
      [1, 2, 3].map((count) => ({ article: n + count, count })),
    );
    await manager.commit(session);
    return session.token ?? "";
  });
  const perSession: number[] = [];
  // The first round compiles code and fills caches.
  for (let round = -1; round < rounds; round++) {
    const bytes = await measureRound(manager, tokens);
    if (round >= 0) perSession.push(bytes / sessions);
  }
  await pool.end();
  return perSession;
}

/** A function of its own, so that nothing of the round before is still in use. */
async function measureRound(manager: SessionManager<Data>, tokens: readonly string[]): Promise<number> {
  const before = await heapBytes();
  const loaded = await inSlices(tokens.length, (n) => manager.load(tokens[n]));
  const bytes = (await heapBytes()) - before;
  checkNames(loaded);
  return bytes;
}

function checkNames(sessions: readonly Session<Data>[]): void {
  const wrong = sessions.findIndex((session, n) => session.get("name") !== `user number ${n}`);
  if (wrong >= 0) throw new Error(`memory: session ${wrong} is another`);
}

async function inSlices<T>(count: number, step: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  while (results.length < count) {
    const from = results.length;
    const length = Math.min(LOADS_AT_ONCE, count - from);
    results.push(...(await Promise.all(Array.from({ length }, (_, n) => step(from + n)))));
  }
  return results;
}

async function heapBytes(): Promise<number> {
  // Twice, and with a pause: what weak references and finalizers hold goes later.
  for (let n = 0; n < 2; n++) {
    globalThis.gc?.();
    await sleep(50);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

answerQuestions(measure);
