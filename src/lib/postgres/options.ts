import { type Duration, OptionReader } from "../core/options.ts";
import { failureLog } from "../core/log.ts";
import { MAX_DELAY_MS } from "../core/time.ts";
import type { BatchLimits } from "./execution/batch.ts";
import type { Layout } from "./sql/layout.ts";
import { tableName } from "./sql/table-name.ts";

/** Options of `PgStore`. A duration is a number of milliseconds or a string such as `"5m"`. */
export interface PgStoreOptions {
  /** Pause between two cleanups of expired rows, give or take a tenth. 0 turns the cleanup off. Default: `"5m"`. */
  cleanupInterval?: Duration | undefined;
  /**
   * Time for which the row of an ended session stays, empty, so that a late upsert doesn't bring the session back.
   * Default: `"2m"`.
   */
  endedGrace?: Duration | undefined;
  /** The table's name, used verbatim: add no quotes. Default: `"sessions"`. */
  table?: string | undefined;
  /** The schema's name, used verbatim: add no quotes. Default: the connection's search path decides. */
  schema?: string | undefined;
  /** Time limit of an operation, with its wait in the queue and its retries. Default: `"5s"`. */
  queryTimeout?: Duration | undefined;
  /** Limits for operations that share a statement. */
  batch?: BatchOptions | undefined;
  /**
   * Uses prepared statements, if the client supports them. Behind a pooler that doesn't support them, the first failure
   * turns this off. Default: true.
   */
  prepare?: boolean | undefined;
  /** Called with each error of the periodic cleanup. Default: logs it. */
  onError?: ((error: unknown) => void) | undefined;
}

/** Options of `PgStore.close`. */
export interface CloseOptions {
  /** Time to wait for operations under way. They may still be carried out afterwards. Default: until each meets its own limit. */
  timeout?: Duration | undefined;
}

export type ResolvedStoreOptions = ReturnType<typeof resolveStoreOptions>;

/**
 * Validates the options of a store and fills in defaults. Durations become milliseconds.
 *
 * @throws TypeError when an option is wrong
 */
export function resolveStoreOptions(options: PgStoreOptions) {
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

/** A database that pgstore opened and closes. */
export interface OwnDatabase {
  /** A description for logs, without the password. */
  location: string;
  close: () => Promise<void>;
}

/** Internal options of a store. */
export interface Inside {
  own?: OwnDatabase;
  /** Default: SCS's table. */
  layout?: Layout;
  /** Adds figures for operators to a layout without users. */
  hasOperations?: boolean;
}

/** Limits for operations of one kind (find, create, replace, save, touch, delete) that share a statement. */
export interface BatchOptions {
  /** Operations in a statement. 1 turns batching off. Default: 256. */
  rows?: number | undefined;
  /** Statements of a kind under way at once, each on a connection. Default: 3. */
  statements?: number | undefined;
  /** Operations that may wait. The next one fails with StoreOverloadedError. Default: 20,000. */
  waiting?: number | undefined;
}

/** Validates the limits of batching and fills in defaults. @throws TypeError when an option is wrong */
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
