/** Options of a store's operations. A store that can't cancel an operation ignores them. */
export interface OperationOptions {
  /** Rejects with its reason when it aborts. An operation that has not left by then never does; a write that has may still be carried out. */
  signal?: AbortSignal | undefined;
}
