/** One thing that a process did with a session, as it saw it. */
export interface SoakEvent {
  kind: "create" | "read" | "set" | "update" | "renew" | "destroy" | "revoke";
  /** Names the token without telling it. */
  token: string;
  /** Which session it is, from its beginning through all of its tokens. Of a read: what the session itself says; undefined: none. */
  session: string | undefined;
  /**
   * "done": acknowledged. "dropped": the session had ended, and the process was told so. "unknown": it failed, and may have been
   * carried out.
   */
  outcome: "done" | "dropped" | "unknown";
  /** Of set: whose key, and its how manieth value. */
  key?: string;
  value?: number;
  /** Of read: the values by key, and the shared counter as `n`. */
  values?: Record<string, number>;
  /** Of renew: the new token's name. */
  next?: string;
  /** Of renew: it was a login, with a tag. */
  isLogin?: boolean;
  /** Of revoke: what it was ended by. By the user and by the tag only a session is found that has logged in. */
  by?: "id" | "user" | "tag";
  /** Nanoseconds of a clock that the processes of a machine share: when it began, when its outcome was known. */
  from: number;
  to: number;
}

export interface Verdict {
  operations: number;
  acknowledged: number;
  unknown: number;
  /** Acknowledged writes that are not there, and sessions that vanished. */
  losses: string[];
  /** Sessions and tokens that were ended and are there again. */
  resurrections: string[];
  /** Data of one session in another, and values that nobody wrote. */
  leaks: string[];
}
