import type { OperationOptions } from "./operation-options.ts";

/** Whose session a row is, as `login` has said, and where it was begun from, as far as that is recorded. */
export interface Owner {
  userId: string;
  ip?: string | undefined;
  userAgent?: string | undefined;
  /** By which the session can be found; none: undefined. */
  tags?: readonly string[] | undefined;
  /** It is no login: the user's session goes on under another token, and what is known of its login stays. */
  goesOn?: boolean;
  /** The most sessions that the user may have. With it a write may resolve to "few". */
  most?: number;
}

/** What a store tells of a user's live session: nothing that it holds. */
export interface OwnedEntry {
  token: string;
  created: Date;
  lastSeen: Date;
  expiry: Date;
  ip: string | undefined;
  userAgent: string | undefined;
}

/** What a store tells of a session that was found by a tag. */
export interface TaggedEntry {
  token: string;
  userId: string;
}

/** Where a page of a user's sessions begins: after this one. */
export interface OwnedPlace {
  created: Date;
  token: string;
}

/**
 * What became of a write for a user. "refused": nothing happened, as before. "revoked": the user's sessions were ended
 * while it was under way, so nothing was written, and it must not be tried again. "few": done, and the user
 * has at most `most` sessions, not counting logins at the same moment.
 */
export type OwnedWrite = "done" | "few" | "refused" | "revoked";

/** What a store needs to find and end sessions by their user. */
export interface UserStore {
  /** As `create`, for a user. */
  create(token: string, data: Uint8Array, expiry: Date, owner: Owner): Promise<OwnedWrite>;
  /** As `renew`, for a user. */
  renew(
    token: string,
    newToken: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    owner: Owner,
    options?: OperationOptions,
  ): Promise<OwnedWrite>;
  /** A page of a user's live sessions, the newest first. */
  list(userId: string, limit: number, after?: OwnedPlace): Promise<OwnedEntry[]>;
  /**
   * Ends the live sessions of a user but some, and with them those that a login is writing at that moment. A session is spared
   * by the token that it has, or had before it was renewed. Resolves to the tokens of those that it ended.
   *
   * @param onEnded - may be called with these tokens while it goes on; then with all of them
   */
  end(userId: string, except: readonly string[], onEnded?: (tokens: string[]) => void): Promise<string[]>;
  /** Ends the oldest live sessions of a user until `most` are left. Resolves to the tokens of those that it ended. @param onEnded - as of `end` */
  trim(userId: string, most: number, onEnded?: (tokens: string[]) => void): Promise<string[]>;
  /**
   * Lists live sessions that have a tag, to be ended. A login with the tag that was being written when this was called is
   * among them, or its write resolves to "revoked". Without this method a login can't have tags.
   */
  listByTag?(tag: string, limit: number): Promise<TaggedEntry[]>;
}
