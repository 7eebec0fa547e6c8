import type { PgClient } from "../port/pg-client.ts";

/** A row of a result: every column that we select is text or null. */
export type Row = Record<string, string | null>;

/** Runs one statement on whatever client the user has. */
export type Driver = (text: string, values: unknown[], timeout: number) => Promise<Row[]>;

/** As node-postgres has it: an options object instead of the text. */
type ConfigQuery = (config: { text: string; values: unknown[]; query_timeout: number }) => Promise<{ rows: unknown[] }>;

/**
 * Makes a driver of a client.
 *
 * @throws TypeError when it is none
 */
export function driverOf(db: PgClient): Driver {
  if (typeof db !== "object" || db === null || typeof db.query !== "function") {
    throw new TypeError("db: must be a pg.Pool, a PGlite or an object with query(text, values)");
  }
  if (isNodePostgres(db)) {
    surviveIdleErrors(db);
    // Its own timeout as well as ours: it frees a connection that no longer answers, instead of keeping it for ever.
    const query = (db.query as unknown as ConfigQuery).bind(db);
    const run: Driver = async (text, values, timeout) =>
      (await query({ text, values, query_timeout: timeout })).rows as Row[];
    return "waitingCount" in db ? run : oneByOne(run);
  }
  return async (text, values) => (await db.query(text, values)).rows as Row[];
}

/** A single connection: pg.Client will no longer queue statements by itself from version 9 on. */
function oneByOne(run: Driver): Driver {
  let last: Promise<unknown> = Promise.resolve();
  return (...args) => {
    const next = (): Promise<Row[]> => run(...args);
    const mine = last.then(next, next);
    last = mine;
    return mine;
  };
}

interface Emitter {
  on(event: "error", listener: (error: unknown) => void): unknown;
  listenerCount(event: "error"): number;
}

function isNodePostgres(db: object): db is PgClient & Emitter {
  return ("waitingCount" in db || "connectionParameters" in db) && "on" in db && "listenerCount" in db;
}

/** A pool emits "error" when the server closes an idle connection; without a listener that ends the process. */
function surviveIdleErrors(db: Emitter): void {
  if (db.listenerCount("error") === 0) db.on("error", ignore);
}

/** The pool has thrown the connection away already; the next statement gets another, or fails with the reason. */
function ignore(): void {}
