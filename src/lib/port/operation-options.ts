/** What an operation takes besides. A store that can't break off an operation ignores it. */
export interface OperationOptions {
  /** Rejects with its reason when it aborts. An operation that has not left by then never does; a write that has may still be carried out. */
  signal?: AbortSignal | undefined;
}
