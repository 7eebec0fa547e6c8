import { type Driver, lastDeparture, loadUntil, type Row, textOf } from "../drivers/driver.ts";
import { isMissing } from "../drivers/errors.ts";
import { Deadlines } from "../drivers/places.ts";
import type { ResolvedStoreOptions } from "../options.ts";
import type { Layout } from "../sql/layout.ts";
import { operationsFor } from "../sql/operations.ts";
import type { Statement } from "../sql/fragments.ts";
import { type Additions, type Statements, statementsFor } from "../sql/statements.ts";
import { arrayText, instantOf } from "../sql/text-format.ts";
import { closed, Dispatcher } from "./dispatch.ts";
import { Executor, retrying } from "./executor.ts";

/** The answer of the probe. */
interface Probe extends Additions {
  /** The database's time, in milliseconds since 1970. */
  readonly now: number;
}

/** Runs the operations of a store until it is stopped. */
export class Engine {
  readonly sql: Statements;
  readonly #timeout: number;
  readonly #executor: Executor;
  readonly #deadlines = new Deadlines();
  /** Statements under way, without those of the request path. */
  readonly #asked = new Set<Promise<unknown>>();
  /** The operations of the request path. */
  readonly operations: Dispatcher;
  #isStopped = false;
  #additions: Additions | undefined;
  #probing: Promise<Probe> | undefined;
  #counts = { created: 0, ended: 0 };

  /** Creates the queues and statements of a store. Sends nothing yet. */
  constructor(driver: Driver, layout: Layout, options: ResolvedStoreOptions) {
    const { table, queryTimeout, batch, prepare, endedGrace } = options;
    this.sql = statementsFor(table, layout, endedGrace);
    this.#timeout = queryTimeout;
    this.#executor = new Executor(driver, queryTimeout, prepare, table, layout.remedy(table));
    this.operations = new Dispatcher(
      this.#executor,
      operationsFor(table, layout, endedGrace),
      layout,
      { ...batch, leavesAtOnce: driver.leavesAtOnce },
      queryTimeout,
      {
        additions: () => this.#additions ?? this.#probeOnce(),
        onMissing: () => this.forget(),
        onWritten: ({ counts }, rows) => {
          if (counts !== undefined) this.count(counts, rows);
        },
        onFence: (ids) => this.behindFence(ids),
      },
    );
  }

  /** Runs a statement that may be repeated. */
  readonly run = async (statement: Statement, values: string[] = [], timeout = this.#timeout): Promise<Row[]> => {
    this.#assertRunning();
    return this.#ask(statement, values, timeout);
  };

  /**
   * Tells whether live sessions are behind the fence. A session missing from the answer is no longer live, or the fence
   * is gone.
   */
  async behindFence(ids: readonly string[]): Promise<ReadonlyMap<string, boolean>> {
    try {
      // Runs for operations under way even while the store is closing.
      const rows = await this.#ask(this.sql.behindFence, [arrayText(ids)], this.#timeout);
      return new Map(rows.map((row) => [textOf(row, "token"), row["behind"] === "true"]));
    } catch (error) {
      // A role that can't read the column for users sees no fence.
      if (isMissing(error)) return new Map(ids.map((id) => [id, false]));
      throw error;
    }
  }

  async #ask(statement: Statement, values: unknown[], timeout: number): Promise<Row[]> {
    const load = loadUntil(values, lastDeparture(performance.now(), timeout));
    try {
      const answer = retrying(timeout, true, () => this.#executor.run(statement, load, timeout));
      const forget = (): unknown => this.#asked.delete(answer);
      this.#asked.add(answer);
      answer.then(forget, forget);
      return await this.#deadlines.limit(answer, timeout);
    } catch (error) {
      throw this.#executor.explain(error);
    }
  }

  /** Returns the database's time in milliseconds since 1970, computed from a recent answer or asked for. */
  now(): number | Promise<number> {
    return this.#executor.clock.read() ?? this.#askTime();
  }

  async #askTime(): Promise<number> {
    this.#assertRunning();
    return (await this.#probeOnce()).now;
  }

  /** The additions of `migrate` found by the last probe, or undefined before the first. */
  get additions(): Additions | undefined {
    return this.#additions;
  }

  /** Finds out which additions of `migrate` exist now. */
  async probe(): Promise<Probe> {
    // Runs for operations under way even while the store is closing.
    const [row] = await this.#ask(this.sql.probe, [], this.#timeout);
    const says = (column: string): boolean => row?.[column] === "true";
    const now = instantOf(row?.["now"]);
    this.#executor.clock.observe(now);
    this.#additions = { owners: says("owners"), users: says("users"), seen: says("seen"), history: says("history") };
    return { ...this.#additions, now };
  }

  /** Shares the answer of a probe under way. */
  #probeOnce(): Promise<Probe> {
    return (this.#probing ??= this.probe().finally(() => (this.#probing = undefined)));
  }

  /** Makes the next write probe again. */
  forget(): void {
    this.#additions = undefined;
  }

  /** Returns the numbers of sessions created and ended by this process since the last call, and resets them. */
  takeCounts(): { created: number; ended: number } {
    const counts = this.#counts;
    this.#counts = { created: 0, ended: 0 };
    return counts;
  }

  /** Counts sessions that this process has created or ended. */
  count(what: "created" | "ended", sessions: number): void {
    this.#counts[what] += sessions;
  }

  /** Resolves when no operation is under way. */
  async idle(): Promise<void> {
    await this.operations.idle();
    while (this.#asked.size > 0) await Promise.allSettled(this.#asked);
  }

  /** Refuses new operations from now on. */
  refuse(): void {
    this.#isStopped = true;
    this.operations.refuse();
  }

  #assertRunning(): void {
    if (this.#isStopped) throw closed();
  }
}
