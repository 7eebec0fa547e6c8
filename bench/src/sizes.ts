import type { Extent } from "./options.ts";

/** How large each scenario is. */
export interface Sizes {
  store: {
    rows: number;
    inFlight: readonly number[];
    rounds: number;
    /** Milliseconds that one peer is measured for, in one round. */
    blockMs: number;
    /** Blocks of operations that are alone in flight. */
    loneBlocks: number;
    /** Operations in such a block. */
    loneOperations: number;
  };
  http: {
    rows: number;
    connections: number;
    rounds: number;
    blockMs: number;
    /** Before the first round, for each server and operation: it takes seconds until V8 has compiled all that is hot. */
    warmUpMs: number;
  };
  growth: { rows: readonly number[]; rounds: number; blockMs: number; loneOperations: number };
  cleanup: { expired: number; live: number; inFlight: number; beforeMs: number; rounds: number };
  touch: { sessions: number; everySeconds: number; minutes: number };
  memory: { sessions: number; rounds: number };
}

const DEFAULT: Sizes = {
  store: {
    rows: 100_000,
    inFlight: [1, 16, 64, 256],
    rounds: 5,
    blockMs: 800,
    loneBlocks: 21,
    loneOperations: 500,
  },
  http: { rows: 10_000, connections: 32, rounds: 5, blockMs: 1500, warmUpMs: 4000 },
  growth: { rows: [10_000, 1_000_000], rounds: 7, blockMs: 1000, loneOperations: 1000 },
  cleanup: { expired: 1_000_000, live: 100_000, inFlight: 64, beforeMs: 5000, rounds: 3 },
  touch: { sessions: 1000, everySeconds: 10, minutes: 120 },
  memory: { sessions: 10_000, rounds: 5 },
};

const QUICK: Sizes = {
  store: { ...DEFAULT.store, rows: 20_000, rounds: 3, blockMs: 150, loneBlocks: 7, loneOperations: 200 },
  http: { ...DEFAULT.http, rounds: 3, blockMs: 350, warmUpMs: 1200 },
  growth: { rows: [10_000, 200_000], rounds: 3, blockMs: 300, loneOperations: 300 },
  cleanup: { expired: 100_000, live: 20_000, inFlight: 64, beforeMs: 1500, rounds: 1 },
  touch: { sessions: 200, everySeconds: 10, minutes: 30 },
  memory: { sessions: 10_000, rounds: 3 },
};

export const SIZES: Record<Extent, Sizes> = {
  quick: QUICK,
  default: DEFAULT,
  full: { ...DEFAULT, growth: { ...DEFAULT.growth, rows: [10_000, 1_000_000, 10_000_000] } },
};
