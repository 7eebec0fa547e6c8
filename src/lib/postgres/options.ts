import { type Duration, OptionReader } from "../core/options.ts";
import { failureLog } from "../core/log.ts";
import { MAX_DELAY_MS } from "../core/time.ts";
import type { BatchLimits } from "./execution/batch.ts";
import type { Layout } from "./sql/layout.ts";
import { type TableName, tableName } from "./sql/table-name.ts";

/** Options of `PgStore`. Durations are milliseconds or a text such as `"5m"`. */
export interface PgStoreOptions {
  /** How often expired rows are removed, give or take a tenth. 0: never. Default `"5m"`. */
  cleanupInterval?: Duration | undefined;
  /**
   * How long the row of an ended session stays, empty, so that a late write of a protocol that can only upsert doesn't
   * bring the session back. Default `"2m"`.
   */
  endedGrace?: Duration | undefined;
  /** The table's name as it is, not quoted. Default `"sessions"`. */
  table?: string | undefined;
  /** The schema's name as it is, not quoted. Default: the connection's search path decides. */
  schema?: string | undefined;
  /** How long an operation may take, the wait for its turn and further attempts included. Default 5 s. */
  queryTimeout?: Duration | undefined;
  /** How many operations share a statement, and how many may wait. */
  batch?: BatchOptions | undefined;
  /**
   * Whether statements are kept prepared on the server, where the client can do that. Default true: behind a pooler that
   * can't, the first failure turns it off.
   */
  prepare?: boolean | undefined;
  /** Gets the errors of the cleanup, which has no caller to throw to. Default: logs them. */
  onError?: ((error: unknown) => void) | undefined;
}

/** What `close` takes. */
export interface CloseOptions {
  /** How long to wait for what is under way; it may still be carried out afterwards. Default: each operation's own limit. */
  timeout?: Duration | undefined;
}

/** The options, checked and with their defaults. */
export interface ResolvedStoreOptions {
  /** Milliseconds; 0: never. */
  cleanupInterval: number;
  /** Milliseconds. */
  endedGrace: number;
  table: TableName;
  /** Milliseconds. */
  queryTimeout: number;
  batch: BatchLimits;
  prepare: boolean;
  onError: (error: unknown) => void;
}

/** @throws TypeError that names the option */
export function resolveStoreOptions(options: PgStoreOptions): ResolvedStoreOptions {
  const read = new OptionReader(options);
  const resolved = {
    cleanupInterval: read.duration("cleanupInterval", "5m"),
    endedGrace: read.duration("endedGrace", "2m"),
    table: tableName(read.text("table", "sessions"), read.text("schema", undefined)),
    queryTimeout: read.duration("queryTimeout", "5s", { isPositive: true, max: MAX_DELAY_MS }),
    batch: batchLimits(read.value("batch", {})),
    prepare: read.bool("prepare", true),
    onError: read.callback<(error: unknown) => void>("onError") ?? logError,
  };
  read.end();
  return resolved;
}

const logError = failureLog("the cleanup of expired sessions failed");

/** A database that the store has opened itself, and closes. */
export interface OwnDatabase {
  /** Where the sessions are, fit for a log: no password. */
  location: string;
  close: () => Promise<void>;
}

/** What pgstore itself knows of a store besides. */
export interface Inside {
  own?: OwnDatabase;
  /** Default: the seed's table. */
  layout?: Layout;
  /** Figures for operators, of a layout without users as well. */
  hasOperations?: boolean;
}

/** How many operations of a kind (find, create, replace, save, touch, delete) go together. */
export interface BatchOptions {
  /** Operations in a statement. Default 256; 1: each has its own. */
  rows?: number | undefined;
  /** Statements under way at once, so connections that a kind may use. Default 3. */
  statements?: number | undefined;
  /** Operations that wait for a statement; past them StoreOverloadedError. Default 20,000. */
  waiting?: number | undefined;
}

/** @throws TypeError that names the option */
function batchLimits(given: unknown): BatchLimits {
  const read = new OptionReader(given, "batch.");
  const limits = {
    rows: read.whole("rows", 256),
    statements: read.whole("statements", 3),
    waiting: read.whole("waiting", 20_000),
  };
  read.end();
  return limits;
}
