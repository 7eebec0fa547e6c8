/** What the demo keeps in a session: the keys and the types of their values. */
export interface DemoSession {
  notes: string[];
  visits: number;
  /** A message for the next page. */
  flash: string;
  /** What `rememberMe` was last told. */
  remembered: boolean;
}

/** Limits of what the forms take; lengths in characters. */
export const LIMITS = { name: 40, note: 200, notes: 20 };
