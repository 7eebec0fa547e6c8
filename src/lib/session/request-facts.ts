/** Calls a listener when the request's client goes. Returns what stops that. */
export type WhenGone = (listener: () => void) => () => void;

/** What is known of a request. */
export interface RequestFacts {
  ip?: string | undefined;
  userAgent?: string | undefined;
  speculative?: boolean | undefined;
  whenGone?: WhenGone | undefined;
}

/** What a login keeps of where it came from. */
export type RecordedClient = Pick<RequestFacts, "ip" | "userAgent">;
