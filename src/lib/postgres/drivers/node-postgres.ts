import { warn } from "../../core/log.ts";
import { type Driver, type Row, tooLate } from "./driver.ts";
import { Deadlines, lookedAtLate, placedDriver, upTo, WaitingLine } from "./places.ts";
import { failureOf, NotSentError } from "./errors.ts";
import { utf8 } from "../sql/text-format.ts";

interface Query {
  text: string;
  name?: string | undefined;
  values: unknown[];
  /** Milliseconds. In place of the application's limit, which would fail a statement that may still be carried out. */
  query_timeout?: number | undefined;
  types: typeof AS_IT_IS;
}

/** The members of a pg.Client or pg.Pool that pgstore uses. */
interface NodePostgres {
  query(config: Query): Promise<{ rows: unknown[] }>;
  query(config: Query, values: undefined, callback: Answered): void;
  query(config: PreparedQuery, callback: Answered): void;
  on(event: "error", listener: (error: unknown) => void): unknown;
  removeListener(event: "error", listener: (error: unknown) => void): unknown;
  listenerCount(event: "error"): number;
  /** Missing in a pool. */
  connectionParameters?: { query_timeout?: unknown };
}

type Answered = (error: unknown, result?: { rows: unknown[] }) => void;

interface Pool extends NodePostgres {
  // Strings if the application read them from its environment.
  options: { max?: number | string; connectionTimeoutMillis?: number | string };
  totalCount: number;
  idleCount: number;
  waitingCount: number;
  connect(callback: (failure: unknown, client: NodePostgres | undefined, release: Release) => void): void;
}

/** The default number of connections of a pg.Pool. */
const USUAL_CONNECTIONS = 10;

/** Returns a connection to the pool. With an error, the pool closes it. */
type Release = (error?: unknown) => void;

interface Connection {
  client: NodePostgres;
  release: Release;
}

/** Bypasses the application's type parsers, as each selected column is text. With `binary: true` it comes as bytes. */
const AS_IT_IS = {
  getTypeParser: () => (value: unknown) => (value instanceof Uint8Array ? utf8(value) : value),
};

export function isNodePostgres(db: object): db is NodePostgres {
  return ("waitingCount" in db || "connectionParameters" in db) && "on" in db && "listenerCount" in db;
}

function isPool(db: NodePostgres): db is Pool {
  return "waitingCount" in db && "connect" in db && "options" in db;
}

/** Makes a driver for a pg.Pool or a pg.Client. */
export function nodePostgres(db: NodePostgres): Driver {
  surviveIdleErrors(db);
  return { prepares: true, run: isPool(db) ? lineOf(db).run : onClient(db).run };
}

/** The lines of pools. All stores of a pool share its line. */
const lines = new WeakMap<Pool, PoolLine>();

function lineOf(pool: Pool): PoolLine {
  const line = lines.get(pool) ?? new PoolLine(pool);
  lines.set(pool, line);
  return line;
}

/**
 * The statements that wait for a connection of a pool. The pool gets no more requests at once than it has connections,
 * so that a connection that hangs while it is made holds up only its request.
 */
class PoolLine {
  readonly #pool: Pool;
  readonly #deadlines = new Deadlines();
  readonly #line = new WaitingLine<Connection>(this.#deadlines);
  readonly #columns: Columns = new Map();
  /** Requests for a connection that the pool has not answered. */
  #asked = 0;

  /** Creates the line of a pool. */
  constructor(pool: Pool) {
    this.#pool = pool;
    warnOfNoLimit(pool);
  }

  readonly run: Driver["run"] = ({ text, name, load }, timeout) =>
    new Promise((resolve, reject) => {
      const end = performance.now() + timeout;
      const use = (connection: Connection): boolean => {
        const loaded = load();
        if (loaded === undefined) return false;
        // Without a limit of the application, the line's own limit spares a timer for each statement.
        const query_timeout = connection.client.connectionParameters?.query_timeout ? timeout : undefined;
        const query = { text, name, values: loaded.values, query_timeout, types: AS_IT_IS };
        this.#send(connection, query, end, resolve, (error) => {
          // The idle connections of the pool lead to the same server.
          if (error !== undefined && failureOf(error) === "standby") dropIdle(this.#pool);
          reject(error ?? tooLate(timeout));
        });
        return true;
      };
      this.#line.add(timeout, use, reject);
      this.#ask();
    });

  /**
   * Sends a statement.
   *
   * @param end - moment at which it fails, with `undefined`, by the monotonic clock in milliseconds. The connection is closed, as
   *   one that no longer answers would otherwise be kept for ever
   */
  #send(
    { client, release }: Connection,
    query: Query,
    end: number,
    resolve: (rows: Row[]) => void,
    reject: (error: unknown) => void,
  ): void {
    client.on("error", ignore);
    let isOver = false;
    const finish = (error: unknown): void => {
      isOver = true;
      this.#deadlines.remove(limited);
      release(error);
      client.removeListener("error", ignore);
    };
    const fail = (error: unknown): void => {
      finish(error);
      reject(error);
    };
    const limited = {
      end,
      expire: () => {
        finish(true);
        reject(undefined);
      },
    };
    this.#deadlines.add(limited);
    try {
      const answered: Answered = (error, result) => {
        if (isOver) return;
        if (error) return fail(error);
        finish(undefined);
        resolve((result?.rows ?? []) as Row[]);
      };
      const { name } = query;
      if (name === undefined || !takesQueries(client)) client.query(query, undefined, answered);
      // Old versions of pg take the callback of another class of query only as an argument.
      else client.query(new PreparedQuery(query, name, this.#columns), answered);
    } catch (error) {
      // A wrapper around the client threw. Rethrown, the error would end the process from within the pool.
      fail(error);
    }
  }

  #ask(): void {
    const most = Number(this.#pool.options.max ?? USUAL_CONNECTIONS);
    while (this.#asked < Math.min(this.#line.length, most)) this.#connect();
  }

  #connect(): void {
    // Timers may be a little early.
    const patience = Number(this.#pool.options.connectionTimeoutMillis ?? 0) * 0.9;
    const begun = performance.now();
    this.#asked++;
    // A callback, because an error of the connection can come before a promise resolves.
    this.#pool.connect((failure, client, release) => {
      this.#asked--;
      const code = (failure as { code?: unknown } | null | undefined)?.code;
      const isTimeout = patience > 0 && code === undefined && performance.now() - begun >= patience;
      if (client !== undefined) {
        // All waiting statements may have timed out.
        if (!this.#line.serve({ client, release })) release();
      } else if (!isTimeout) {
        this.#line.fail(new NotSentError(failure));
      }
      // After the pool's timeout ask again: the statements have time limits of their own.
      this.#ask();
    });
  }
}

/** The members of pg's connection that a query uses. */
interface Wire {
  /** The texts of the connection's prepared statements, by name. */
  parsedStatements: Record<string, string | undefined>;
  stream: { cork?: () => void; uncork?: () => void };
  parse(statement: { name: string; text: string }): void;
  bind(portal: { statement: string; values: unknown[] }): void;
  describe(portal: { type: "P" }): void;
  execute(portal: object): void;
  sync(): void;
}

/** The columns of prepared statements, by their names. */
type Columns = Map<string, readonly string[]>;

/** Whether a client of pg takes queries of other classes. The native client and one that pipelines take only pg's own. */
function takesQueries(client: object): boolean {
  const { connection, pipeline } = client as { connection?: unknown; pipeline?: unknown };
  return pipeline !== true && typeof connection === "object" && connection !== null && "parsedStatements" in connection;
}

/**
 * A prepared statement on its way through pg's client, which sends it by `submit` and hands it the messages of the
 * answer, as for the queries of pg-cursor.
 *
 * pg's own query copies its settings descriptor by descriptor, is an event emitter, and makes a result with parsers for each column. A
 * look-up alone in flight took a fifth longer with it. This one asks for the columns only once for each statement.
 */
class PreparedQuery implements Query {
  readonly text: string;
  readonly name: string;
  readonly values: unknown[];
  readonly query_timeout: number | undefined;
  /** For pg's own query: a program that traces statements may send a copy of these settings in place of this object. */
  readonly types = AS_IT_IS;
  /** Set by pg. */
  callback: Answered | undefined = undefined;
  // Not private: a proxy of such a program has no private members.
  readonly known: Columns;
  columns: readonly string[] | undefined;
  readonly found: Row[] = [];

  /** Copies the settings of a query. @param known - the columns of statements. Those of this one are added */
  constructor({ text, values, query_timeout }: Query, name: string, known: Columns) {
    this.text = text;
    this.name = name;
    this.values = values;
    this.query_timeout = query_timeout;
    this.known = known;
    this.columns = known.get(name);
  }

  /** Called by pg when the connection is free. Returns an error for pg to report: thrown, it would end the process. */
  submit(connection: Wire): unknown {
    const { text, name, values } = this;
    connection.stream.cork?.();
    try {
      if (connection.parsedStatements[name] === undefined) connection.parse({ name, text });
      connection.bind({ statement: name, values });
      if (this.columns === undefined) connection.describe({ type: "P" });
      connection.execute({});
      connection.sync();
      return undefined;
    } catch (error) {
      return error;
    } finally {
      connection.stream.uncork?.();
    }
  }

  handleRowDescription({ fields }: { fields: readonly { name: string }[] }): void {
    this.columns = fields.map(({ name }) => name);
    this.known.set(this.name, this.columns);
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    const columns = this.columns ?? [];
    const row: Row = {};
    for (let index = 0; index < columns.length; index++) row[columns[index] as string] = fields[index] as string | null;
    this.found.push(row);
  }

  handleReadyForQuery(): void {
    this.callback?.(undefined, { rows: this.found });
  }

  handleError(error: unknown): void {
    this.callback?.(error);
  }

  handleCommandComplete(): void {}

  handleEmptyQuery(): void {}

  handlePortalSuspended(): void {}
}

/**
 * Closes the idle connections of a pool. Each is closed as soon as it is taken: an error of a connection held without a
 * listener would end the process.
 */
function dropIdle(pool: Pool): void {
  for (let count = pool.idleCount; count > 0; count--) {
    pool.connect((_, client, release) => client !== undefined && release(true));
  }
}

/** Runs one statement at a time, because pg.Client stops queueing statements in version 9. */
function onClient(client: NodePostgres): Driver {
  return placedDriver(client, upTo(1), async (errand, load, timeout) => {
    // The client may still be connecting or busy, so values are read late. The native client reads them at once.
    const late = (): unknown[] => lookedAtLate(errand, load, timeout).map((toPostgres) => ({ toPostgres }));
    const values = "native" in client ? load.values : late();
    const { text, name } = errand;
    const query = { text, name, values, query_timeout: timeout, types: AS_IT_IS };
    return (await client.query(query)).rows as Row[];
  });
}

/** Adds a listener for the "error" of a closed idle connection, which would otherwise end the process. */
function surviveIdleErrors(db: NodePostgres): void {
  // At the end of the tick, because the application may add its own listener in the next line.
  process.nextTick(() => {
    if (db.listenerCount("error") > 0) return;
    db.on("error", ignore);
    if (isPool(db)) warnOfNoListener();
  });
}

/** Each warning is given once for all pools, as a program is likely to make them alike. */
const ALL_POOLS = {};

function warnOfNoListener(): void {
  warn(
    "PGSTORE_POOL_ERRORS",
    'A pg.Pool without a listener for "error" ends the process when the server closes an idle connection. pgstore has added ' +
      "one to yours. Add your own before: pool.on('error', (error) => …)",
    ALL_POOLS,
  );
}

/** Warns of a pool without a connection timeout: a connection that hangs would occupy its place for ever. */
function warnOfNoLimit({ options }: Pool): void {
  if (Number(options.connectionTimeoutMillis ?? 0) > 0) return;
  warn(
    "PGSTORE_POOL_TIMEOUT",
    "A pg.Pool without connectionTimeoutMillis waits without limit for a server that accepts connections and doesn't answer, " +
      "and stays unusable when the server is back. Set it: new pg.Pool({ connectionTimeoutMillis: 5000, … })",
    ALL_POOLS,
  );
}

/** Ignores the error: the pool has dropped the connection, and the next statement gets another or fails with the reason. */
function ignore(): void {}
