import type { SessionRecord } from "./record.ts";

/** What a session asks of the manager that loaded it. */
export interface SessionHost {
  /** Brings the store up to date with the record. */
  flush(record: SessionRecord): Promise<void>;
  /** The store's key for a token. */
  keyOf(token: string): string;
  /** The deadline of a session that would begin now, as far as the process's clock can tell. */
  newDeadline(): Date;
}
