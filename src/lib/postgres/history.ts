import { textOf } from "./drivers/driver.ts";
import { monotonicNow } from "../core/time.ts";
import type { Engine } from "./execution/database.ts";
import type { OperationStatements } from "./sql/stats.ts";
import type { Operations } from "./stats.ts";

/** Pages of users that are looked through in a turn. */
const MOST_PAGES = 10;

/** What the cleanup writes down of a store, so that its history survives the processes. Nothing, on a table without one. */
export class History {
  readonly #engine: Engine;
  readonly #sql: OperationStatements;
  readonly #operations: Operations;
  #lastUser = "";

  constructor(engine: Engine, sql: OperationStatements, operations: Operations) {
    this.#engine = engine;
    this.#sql = sql;
    this.#operations = operations;
  }

  /** Adds what this process has done since the last time. */
  async note(): Promise<void> {
    const { history } = await this.#engine.lookForColumns();
    if (history) await this.#write("", "", "", "");
  }

  /**
   * Adds what a cleanup has done and what is left, and forgets what is old.
   *
   * @param begun - when it began, by the monotonic clock
   */
  async noteCleanup(removed: number, begun: number): Promise<void> {
    const took = Math.round(monotonicNow() - begun);
    const { history, users } = await this.#engine.lookForColumns();
    if (!history) return;
    const stats = await this.#operations.stats();
    await this.#write(String(removed), String(took), String(stats.live), String(stats.users ?? ""));
    await this.#engine.run(this.#sql.forget, []);
    if (users) await this.#pruneUsers();
  }

  async #write(removed: string, took: string, live: string, users: string): Promise<void> {
    const { created, ended } = this.#engine.takeCounts();
    await this.#engine.run(this.#sql.note, [String(created), String(ended), removed || "0", took, live, users]);
  }

  /** Users who have no session any more; some of them each time, as there may be millions. */
  async #pruneUsers(): Promise<void> {
    for (let page = 0; page < MOST_PAGES; page++) {
      const [row] = await this.#engine.run(this.#sql.pruneUsers, [this.#lastUser]);
      this.#lastUser = textOf(row, "last");
      if (this.#lastUser === "") return;
    }
  }
}
