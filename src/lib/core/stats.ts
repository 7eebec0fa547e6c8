/** Maximum number of expired rows that are counted. */
export const MAX_EXPIRED = 10_000;

/** Figures about a store's table. */
export interface StoreStats {
  /** Live sessions. */
  live: number;
  /** Live sessions of logged-in users. Undefined on a table without the columns for users. */
  loggedIn: number | undefined;
  /** Users with a live session. Undefined on a table without the columns for users. */
  users: number | undefined;
  /** Expired rows that the cleanup has not removed yet. 10,000 means that many or more. */
  expired: number;
  /** Whether the figures are estimates from a sample, because the table is large. */
  isEstimate: boolean;
  /** Live sessions by the time until they expire (`within`, in milliseconds), the soonest first. No session is counted twice. */
  expiring: { within: number; count: number }[];
  /** Bytes of the table, without its indexes. */
  tableBytes: number;
  /** Bytes of the table's indexes. */
  indexBytes: number;
  /** The last cleanup on record: when, how many rows, and how many milliseconds. Undefined without a record. */
  cleanup: { at: Date; removed: number; took: number } | undefined;
}

/** Figures about an interval of time. */
export interface HistoryPoint {
  /** The beginning of the interval. */
  at: Date;
  /** The length of the interval in milliseconds. */
  length: number;
  /** Sessions that began. */
  created: number;
  /** Sessions that ended before they expired. */
  ended: number;
  /** Expired rows that the cleanup removed. */
  removed: number;
  /** Live sessions at the last count in the interval. Undefined without a count. */
  live: number | undefined;
  /** Users with a live session at the last count in the interval. Undefined without a count. */
  users: number | undefined;
}

/** A user who has logged in. */
export interface UserEntry {
  /** The user's name in the table. */
  userId: string;
  /** Live sessions, counted up to 1000. */
  sessions: number;
  /** The time of the last login, by the database's clock. */
  lastLogin: Date;
}

/** A store's figures for operators. */
export interface StoreOperations {
  /** Returns figures about the table. */
  stats(): Promise<StoreStats>;
  /** Returns the history since an instant, in `points` intervals of equal length. */
  history(since: Date, points: number): Promise<HistoryPoint[]>;
  /** Lists users whose name has a prefix, by name. Users without a session stay listed for at least a day. @param after - the last name of the previous page */
  searchUsers(prefix: string, limit: number, after?: string): Promise<UserEntry[]>;
}
