/** Up to how many rows of the backlog are counted. */
export const MAX_EXPIRED = 10_000;

/** How a store is doing. */
export interface StoreStats {
  /** Live sessions. */
  live: number;
  /** Live sessions whose user has logged in; undefined on a table without the columns about users. */
  loggedIn: number | undefined;
  /** Users with a live session; undefined as `loggedIn`. */
  users: number | undefined;
  /** Rows that have expired and wait for the cleanup; counted up to 10,000, which means that many or more. */
  expired: number;
  /** Whether these are estimates from a sample, as the table is large. */
  isEstimate: boolean;
  /** Live sessions by when they expire, the soonest first; each line counts those beyond the line before. */
  expiring: { within: number; count: number }[];
  /** Bytes of the table, without its indexes. */
  tableBytes: number;
  indexBytes: number;
  /** What the last cleanups did; undefined when none is on record. */
  cleanup: { at: Date; removed: number; took: number } | undefined;
}

/** What happened in the stretch of time that began at `at`. */
export interface HistoryPoint {
  at: Date;
  /** Milliseconds until the next point. */
  length: number;
  created: number;
  ended: number;
  /** Rows that the cleanup has removed. */
  removed: number;
  /** Live sessions, when they were last counted in it; undefined: they weren't. */
  live: number | undefined;
  users: number | undefined;
}

/** A user who has logged in. */
export interface UserEntry {
  userId: string;
  /** Live sessions; counted up to 1000. */
  sessions: number;
  lastLogin: Date;
}

/** What is to be known of a store for its operators. */
export interface StoreOperations {
  stats(): Promise<StoreStats>;
  /** What happened from `since` on, in `points` stretches of the same length. */
  history(since: Date, points: number): Promise<HistoryPoint[]>;
  /** Users whose name begins so, by name, after one of them; also those who have no session any more, for a day at least. */
  searchUsers(prefix: string, limit: number, after?: string): Promise<UserEntry[]>;
}
