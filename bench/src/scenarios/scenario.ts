import type { Cores } from "../env/cores.ts";
import type { Postgres } from "../env/postgres.ts";
import type { Redis } from "../env/redis.ts";
import type { Undo } from "../env/undo.ts";
import type { ScenarioName } from "../options.ts";
import type { Sizes } from "../sizes.ts";
import type { ResultTable } from "../text.ts";

/** What scenarios are run with. */
export interface Bench {
  postgres: Postgres;
  /** Undefined: there is none on this machine. */
  redis: Redis | undefined;
  cores: Cores | undefined;
  sizes: Sizes;
  /** Undone after the scenario, or when the run is broken off. */
  undo: Undo;
  /** Tells whoever waits what is going on. */
  log: (line: string) => void;
}

/** What a scenario found out. */
export interface ScenarioResult {
  name: ScenarioName;
  title: string;
  tables: ResultTable[];
  /** Every measured value, a value of each round, by a path such as `find/64/pgstore`. */
  values: Record<string, number[]>;
  /** What targets are about, by their id, a value of each round. */
  measures: Record<string, number[]>;
  notes: string[];
}

/** A result was wrong: the whole run is worth nothing. */
export class WrongResultError extends Error {}
