import { textOf } from "./drivers/driver.ts";
import type { Engine } from "./execution/database.ts";
import type { Operations } from "./stats.ts";

/** Pages of users that one cleanup examines. */
const MAX_USER_PAGES = 10;

/** Records a store's figures in its history table, if there is one. */
export class History {
  readonly #engine: Engine;
  readonly #operations: Operations;
  #lastUser = "";

  /** Creates the history of an engine's table. */
  constructor(engine: Engine, operations: Operations) {
    this.#engine = engine;
    this.#operations = operations;
  }

  /** Adds the sessions that this process has created and ended since the last call. */
  async note(): Promise<void> {
    const { history } = await this.#engine.probe();
    if (history) await this.#write();
  }

  /**
   * Adds the result of a cleanup and the sessions that are left, then removes old entries.
   *
   * @param begun - the start of the cleanup by the monotonic clock, in milliseconds
   */
  async noteCleanup(removed: number, begun: number): Promise<void> {
    const took = Math.round(performance.now() - begun);
    const { history, users } = await this.#engine.probe();
    if (!history) return;
    const stats = await this.#operations.stats();
    await this.#write(String(removed), String(took), String(stats.live), String(stats.users ?? ""));
    await this.#engine.run(this.#engine.sql.forget);
    if (users) await this.#pruneUsers();
  }

  async #write(removed = "0", took = "", live = "", users = ""): Promise<void> {
    const { created, ended } = this.#engine.takeCounts();
    try {
      await this.#engine.run(this.#engine.sql.note, [String(created), String(ended), removed, took, live, users]);
    } catch (error) {
      // The next call notes them.
      this.#engine.count("created", created);
      this.#engine.count("ended", ended);
      throw error;
    }
  }

  /** Removes some of the users without sessions. There may be millions, so each call continues where the last ended. */
  async #pruneUsers(): Promise<void> {
    for (let page = 0; page < MAX_USER_PAGES; page++) {
      const [row] = await this.#engine.run(this.#engine.sql.pruneUsers, [this.#lastUser]);
      this.#lastUser = textOf(row, "last");
      if (this.#lastUser === "") return;
    }
  }
}
