/** Calls a listener when the request's client disconnects. Returns a function that removes the listener. */
export type WhenGone = (listener: () => void) => () => void;

/** Facts about a request that the session may need. */
export interface RequestFacts {
  ip?: string | undefined;
  userAgent?: string | undefined;
  speculative?: boolean | undefined;
  whenGone?: WhenGone | undefined;
}

/** The part of the client's address and browser that a login stores. */
export type RecordedClient = Pick<RequestFacts, "ip" | "userAgent">;
