import type { Driver, Row } from "./driver.ts";
import { monotonicNow } from "../base/clock.ts";
import { StoreUnavailableError } from "../base/errors.ts";
import { tooLate, withTimeout } from "./deadline.ts";
import { failureOf } from "./store-errors.ts";
import { utf8 } from "./wire.ts";

interface Query {
  text: string;
  name?: string;
  values: unknown[];
  /** Milliseconds. */
  query_timeout: number;
  types: typeof AS_IT_IS;
}

/** What of a pg.Client or pg.Pool is used: `query` with an options object, and its events. */
interface NodePostgres {
  query(config: Query): Promise<{ rows: unknown[] }>;
  on(event: "error", listener: (error: unknown) => void): unknown;
  removeListener(event: "error", listener: (error: unknown) => void): unknown;
  listenerCount(event: "error"): number;
}

interface Pool extends NodePostgres {
  options: { max?: number };
  totalCount: number;
  idleCount: number;
  waitingCount: number;
  connect(): Promise<NodePostgres & { release(error?: unknown): void }>;
  connect(
    callback: (
      failure: Error | undefined,
      client: NodePostgres | undefined,
      release: (error?: unknown) => void,
    ) => void,
  ): void;
}

/** Every column that we select is text: no parser of the application's has a say. With `binary: true` it comes as bytes. */
const AS_IT_IS = {
  getTypeParser: () => (value: unknown) => (value instanceof Uint8Array ? utf8(value) : value),
};

export function isNodePostgres(db: object): db is NodePostgres {
  return ("waitingCount" in db || "connectionParameters" in db) && "on" in db && "listenerCount" in db;
}

function isPool(db: NodePostgres): db is Pool {
  return "waitingCount" in db && "connect" in db && "options" in db;
}

/** Makes a driver of a pg.Pool or a pg.Client. */
export function nodePostgres(db: NodePostgres): Driver {
  surviveIdleErrors(db);
  const run: Driver["run"] = async (statement, values, timeout) => {
    // Its own timeout as well as ours: it frees a connection that no longer answers, instead of keeping it for ever.
    const query = { ...statement, values, query_timeout: timeout, types: AS_IT_IS };
    try {
      const { rows } = isPool(db) && isUsedUp(db) ? await whenFree(db, query) : await db.query(query);
      return rows as Row[];
    } catch (error) {
      // The others that the pool keeps lead there as well.
      if (isPool(db) && failureOf(error) === "standby") dropIdle(db);
      throw error;
    }
  };
  const leading: Driver["leading"] = async (name, timeout, work) => {
    if (isPool(db) && db.options.max !== 1) await underLock(db, name, timeout, work);
    else await work();
  };
  return { prepares: true, run: isPool(db) ? run : oneByOne(run), leading };
}

/** Every connection is taken, by the application itself maybe: the pool would queue the statement. */
function isUsedUp({ totalCount, idleCount, waitingCount, options: { max = 10 } }: Pool): boolean {
  return totalCount >= max && idleCount <= waitingCount;
}

/**
 * Ends the connections that nobody uses just now; the pool makes others when it needs them. Each goes as it comes: while it
 * waited for the next one, nobody would hear its errors, and those end the process.
 */
function dropIdle(pool: Pool): void {
  for (let count = pool.idleCount; count > 0; count--) {
    pool.connect((_, client, release) => client !== undefined && release(true));
  }
}

/** Share of its time that a statement must have left to be sent, as of an operation in a batch. */
const WORTHWHILE = 0.02;

/** Waits for a connection, and sends nothing when it comes too late: a write that has failed must not be carried out then. */
function whenFree(pool: Pool, query: Query): Promise<{ rows: unknown[] }> {
  // Its caller's time began before ours, and a timer may be a little early: what is left at the very end is nothing.
  const end = monotonicNow() + query.query_timeout * (1 - WORTHWHILE);
  return new Promise((resolve, reject) => {
    // By callback, as an error of the connection can come before a promise would tell of it.
    pool.connect((failure, client, release) => {
      if (client === undefined) {
        reject(failure ?? new StoreUnavailableError("the pool has no connection"));
        return;
      }
      if (monotonicNow() >= end) {
        release();
        reject(tooLate(query.query_timeout));
        return;
      }
      client.on("error", ignore);
      const finish = (error?: unknown): void => {
        release(error);
        client.removeListener("error", ignore);
      };
      client.query(query).then(
        (result) => {
          finish();
          resolve(result);
        },
        (error: unknown) => {
          finish(error);
          reject(error);
        },
      );
    });
  });
}

/** A single connection: pg.Client will no longer queue statements by itself from version 9 on. */
function oneByOne(run: Driver["run"]): Driver["run"] {
  let last: Promise<unknown> = Promise.resolve();
  return (statement, values, timeout) => {
    const end = monotonicNow() + timeout;
    const next = (): Promise<Row[]> =>
      monotonicNow() < end ? run(statement, values, timeout) : Promise.reject(tooLate(timeout));
    const mine = last.then(next, next);
    last = mine;
    return mine;
  };
}

/**
 * Holds a lock by an open transaction on a connection of its own: PgBouncer's transaction mode can carry it, and it is
 * gone when the process is. The transaction has no snapshot, so it keeps nothing from being vacuumed.
 */
async function underLock(pool: Pool, name: string, timeout: number, work: () => Promise<unknown>): Promise<void> {
  const connecting = pool.connect();
  const client = await withTimeout(connecting, timeout).catch((error: unknown) => {
    connecting.then(
      (late) => late.release(),
      () => {},
    );
    throw error;
  });
  client.on("error", ignore);
  const query = async (text: string, values: unknown[] = []): Promise<Row[]> =>
    (await client.query({ text, values, query_timeout: timeout, types: AS_IT_IS })).rows as Row[];
  let broken: unknown;
  try {
    await query("BEGIN ISOLATION LEVEL READ COMMITTED");
    const lock =
      "SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtext('pgstore'), pg_catalog.hashtext($1::text))::text AS leads";
    const [answer] = await query(lock, [name]);
    if (answer?.["leads"] === "true") await work();
  } finally {
    await query("ROLLBACK").catch((error: unknown) => (broken = error));
    client.removeListener("error", ignore);
    client.release(broken);
  }
}

/** A pool emits "error" when the server closes an idle connection; without a listener that ends the process. */
function surviveIdleErrors(db: NodePostgres): void {
  // At the end of the turn, as the application may add its own in the next line; no error comes before.
  process.nextTick(() => {
    if (db.listenerCount("error") > 0) return;
    db.on("error", ignore);
    if (isPool(db)) warnOnce();
  });
}

let hasWarned = false;

function warnOnce(): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    'A pg.Pool without a listener for "error" ends the process when the server closes an idle connection. pgstore has added ' +
      "one to yours; add your own before: pool.on('error', (error) => …)",
    { type: "PgStoreWarning", code: "PGSTORE_POOL_ERRORS" },
  );
}

/** The pool has thrown the connection away already; the next statement gets another, or fails with the reason. */
function ignore(): void {}
