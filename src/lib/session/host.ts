import type { SessionState } from "./state.ts";

/** What a session asks of the manager that loaded it. */
export interface SessionHost {
  /** Brings the store up to date with the state. */
  flush(state: SessionState): Promise<void>;
  /** The id of a token's session. */
  idOf(token: string): string;
  /** The store's time in milliseconds since 1970: known, or asked for. */
  now(): number | Promise<number>;
  /** The same at once, as far as the process can tell. */
  estimatedNow(): number;
  /** The deadline of a session that would begin now, as far as the process's clock can tell. @param lifetime - milliseconds, if it has one of its own */
  newDeadline(lifetime: number | undefined): Date;
  /** Makes sure that the store can find sessions by tags. @throws TypeError */
  assertTags(): void;
}
