import type { LoginDetails } from "./login-details.ts";

/** Maximum number of expired rows that are counted. */
export const MAX_EXPIRED = 10_000;
/** Maximum number of a user's live sessions that are counted. */
export const MAX_COUNTED_SESSIONS = 1000;
/** Maximum number of users or sessions that one statement sorts. Sorting that many takes about 0.2 s. */
export const MAX_SORTED_ROWS = 200_000;

/** Figures about a store's table. */
export interface StoreStats {
  /** Live sessions. */
  live: number;
  /** Live sessions of logged-in users. Undefined on a table without the columns for users. */
  loggedIn: number | undefined;
  /** Users with a live session. Undefined on a table without the columns for users. */
  users: number | undefined;
  /** Expired rows that the cleanup has not removed yet. 10,000 means 10,000 or more. */
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

/** An order of users. "name": by name. "lastLogin": the latest first. "sessions": the most live sessions first. */
export type UserOrder = "name" | "lastLogin" | "sessions";

/** A query for a page of users. */
export interface UserQuery {
  /** The beginning of the users' names. Default: any. */
  prefix?: string | undefined;
  /** Default "name". */
  order?: UserOrder | undefined;
  /** The most users to list. */
  limit: number;
  /** In the order by name: the last name of the previous page. */
  after?: string | undefined;
  /** In the order by name: the first name of the next page. */
  before?: string | undefined;
  /** In the other orders: the number of users on the pages before. Default 0. */
  offset?: number | undefined;
}

/** A page of users. */
export interface UserPage {
  users: UserEntry[];
  /**
   * The part of the store that was sorted. "all": everything. "some": only the first 200,000 users or sessions, as more match.
   * "sample": a sample of a table of more than 200,000 sessions, so users with few sessions may be missing.
   */
  sorted: "all" | "some" | "sample";
}

/** A live session that was found by its id or address, with the details of its login, without its data. */
export interface FoundSession extends LoginDetails {
  id: string;
  /** The user's name in the table. Undefined for an anonymous session. */
  userId: string | undefined;
  /** The time of the login. Undefined for an anonymous session. */
  created: Date | undefined;
  lastSeen: Date | undefined;
  expiry: Date;
}

/** Sessions of an address. */
export interface AddressPage {
  sessions: FoundSession[];
  /** The place where the search stopped, for `after`. It holds only the beginning of an id. Undefined at the end. */
  next: string | undefined;
  /** Rows that were read without an index on the address. 0: there is an index. */
  read: number;
  /** Rows of the table, by PostgreSQL's statistics. */
  rows: number;
}

/** The database of a store, without user and password. */
export interface StorePlace {
  database: string;
  /** The host as the client knows it, otherwise the server's address. `"PGlite"` for an embedded one. Undefined: unknown. */
  host: string | undefined;
}

/** A store's figures for operators. */
export interface StoreOperations {
  /** Returns figures about the table. */
  stats(): Promise<StoreStats>;
  /** Returns the history since an instant, in `points` intervals of equal length. */
  history(since: Date, points: number): Promise<HistoryPoint[]>;
  /**
   * Lists users whose name has a prefix, by name. Users without a session stay listed for at least a day.
   *
   * @param after - the last name of the previous page
   */
  searchUsers(prefix: string, limit: number, after?: string): Promise<UserEntry[]>;
  /** Lists a page of users in an order. Users without a session stay listed for at least a day, except by number of sessions. */
  listUsers(query: UserQuery): Promise<UserPage>;
  /** Counts the users whose name has a prefix, up to `limit`. */
  countUsers(prefix: string, limit: number): Promise<number>;
  /** Counts the live sessions of a user, up to 1000. */
  countSessions(userId: string): Promise<number>;
  /** Finds a live session, with or without a user, by its id or at least the first 12 characters of it. */
  findSession(id: string): Promise<FoundSession | undefined>;
  /**
   * Finds live sessions by the recorded address of their login. With an index on the column `ip` the answer is complete. Without one
   * the rows are read by id for about two seconds. Pass `next` as `after` to continue.
   *
   * @param addresses - spellings of the address
   */
  findByAddress(addresses: readonly string[], limit: number, after?: string): Promise<AddressPage>;
  /** Returns the name of the database and its host. */
  place(): Promise<StorePlace>;
}
