import { StoreUnavailableError } from "../../core/errors.ts";
import type { OwnedWrite } from "../../core/store.ts";
import { type BatchLimits, Failed, type Item } from "./batch.ts";
import { Batcher } from "./batcher.ts";
import type { Input } from "./dispatch.ts";
import { loadUntil, type Row } from "../drivers/driver.ts";
import type { Executor } from "./executor.ts";
import { holds, type Layout } from "../sql/layout.ts";
import { retrying } from "./retry.ts";
import type { Statement } from "../sql/statements.ts";
import { sqlstateOf } from "../drivers/errors.ts";

/** Where in the parameters stand the id and the data that the row is to have. */
const WRITTEN = {
  renew: { id: 1, data: 3 },
  createFor: { id: 0, data: 1 },
  renewFor: { id: 1, data: 3 },
  createTagged: { id: 0, data: 1 },
  renewTagged: { id: 1, data: 3 },
} as const;

export type SingleWrite = keyof typeof WRITTEN;

/** Of each kind under way at once, as many as a pool has connections by default. */
const AT_ONCE = 10;

const UNIQUE_VIOLATION = "23505";

/** Writes of which each has a statement of its own: of one session what it does depends on another row. */
export class SingleWrites {
  readonly #executor: Executor;
  readonly #statements: Record<SingleWrite | "findOne", Statement>;
  readonly #layout: Layout;
  readonly #batchers: Record<SingleWrite, Batcher<Input, OwnedWrite>>;

  /** @param timeout - milliseconds for an operation */
  constructor(
    executor: Executor,
    statements: Record<SingleWrite | "findOne", Statement>,
    layout: Layout,
    limits: BatchLimits,
    timeout: number,
  ) {
    this.#executor = executor;
    this.#statements = statements;
    this.#layout = layout;
    const batcher = (kind: SingleWrite): Batcher<Input, OwnedWrite> =>
      new Batcher(
        { ...limits, rows: 1, statements: AT_ONCE },
        timeout,
        async ([item], left) => (item === undefined ? [] : [await this.#run(kind, item, left)]),
        // What observers know it as: the store's method.
        kind.startsWith("create") ? "create" : "renew",
      );
    this.#batchers = {
      renew: batcher("renew"),
      createFor: batcher("createFor"),
      renewFor: batcher("renewFor"),
      createTagged: batcher("createTagged"),
      renewTagged: batcher("renewTagged"),
    };
  }

  /** @param input - the parameters of the statement; those of one first parameter follow one another */
  write(kind: SingleWrite, input: Input, signal?: AbortSignal): Promise<OwnedWrite> {
    let weight = 0;
    for (const text of input) weight += text.length;
    return this.#batchers[kind].submit(input[0], input, weight, signal);
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await Promise.all(Object.values(this.#batchers).map((batcher) => batcher.idle()));
  }

  /**
   * Whether an attempt whose answer was lost has been carried out, the table tells: it has the new row. A login is not made
   * again then: it would be a later one than the end of the user's sessions that may have refused it.
   */
  async #run(kind: SingleWrite, { input, until }: Item<Input>, time: number): Promise<OwnedWrite | Failed> {
    const { id, data } = WRITTEN[kind];
    try {
      return await retrying(time, true, async (inDoubt) => {
        const mayWrite = !inDoubt || kind === "renew";
        const [row] = mayWrite
          ? await this.#executor.run(this.#statements[kind], loadUntil([...input], until)).catch(unlessTaken)
          : [undefined];
        const outcome = outcomeOf(row);
        if (outcome === "done" || !inDoubt) return outcome;
        const rows = await this.#executor.run(this.#statements.findOne, loadUntil([input[id]], until));
        const found = rows.find((each) => each["token"] === input[id]);
        if (found !== undefined && holds(this.#layout, found, input[data] ?? "")) return "done";
        if (mayWrite) return outcome;
        throw new StoreUnavailableError("the connection was lost during a login, and its outcome is unknown");
      });
    } catch (error) {
      return new Failed(this.#executor.explain(error));
    }
  }
}

/** A statement that knows no users returns the row that it has written. */
function outcomeOf(row: Row | undefined): OwnedWrite {
  if (row?.["crossed"] === "true") return "revoked";
  if (row === undefined || row["done"] === "false") return "refused";
  return row["few"] === "true" ? "few" : "done";
}

/** The new id exists already: nothing happened. */
function unlessTaken(error: unknown): Row[] {
  if (sqlstateOf(error) === UNIQUE_VIOLATION) return [];
  throw error;
}
