import { monotonicNow } from "../base/clock.ts";
import { StoreUnavailableError } from "../base/errors.ts";
import type { Found } from "../port/store.ts";
import { type BatchLimits, Failed, type RunBatch } from "./batch.ts";
import { Batcher } from "./batcher.ts";
import { type Row, textOf } from "./driver.ts";
import type { Executor } from "./executor.ts";
import { holds, type Layout, reasonOf } from "./layout.ts";
import { retrying } from "./retry.ts";
import { type BatchKind, COLUMNS, type Statements } from "./statements.ts";
import { failureOf } from "./store-errors.ts";
import { arrayText, readInstant } from "./wire.ts";

/** A row of a batch: the columns of its kind as text, the token first. */
export type Input = readonly [token: string, ...columns: string[]];

/** What a row came to: the row that the statement returned for its token, if it did. */
type Output = Row | undefined;

/**
 * What becomes of an operation whose answer was lost with the connection.
 * - `repeat`: done twice is as good as done once
 * - `repeat and look`: it can't be done twice, as it needs the bytes from before; whether it was, the table tells
 * - `look`: done again it could bring back what others have removed since; the table tells whether it was done
 * - `fail`: done again it could undo what others have written since
 */
const WHEN_LOST: Record<BatchKind, "repeat" | "repeat and look" | "look" | "fail"> = {
  find: "repeat",
  touch: "repeat",
  delete: "repeat",
  end: "repeat",
  setExpiry: "repeat",
  // The last write wins, be it by a moment later; what was ended meanwhile is safe from it.
  upsert: "repeat",
  update: "repeat",
  replace: "repeat and look",
  create: "look",
  save: "fail",
};

export type WriteKind = Exclude<BatchKind, "find">;

/** Is told what statements say besides. */
interface Told {
  /** @param now - the database's time, in milliseconds since 1970 */
  onTime: (now: number) => void;
  /** Whether the table has the columns about users. */
  onColumns: (seen: boolean) => void;
  /** How many rows a statement has written. */
  onWritten: (kind: BatchKind, rows: number) => void;
}

/** The operations of a store, each kind with a queue of its own. */
export class Batches {
  readonly #executor: Executor;
  readonly #statements: Statements;
  readonly #layout: Layout;
  readonly #told: Told;
  readonly #reads: Batcher<Input, Found>;
  readonly #writes: Record<WriteKind, Batcher<Input, boolean>>;

  /**
   * @param timeout - milliseconds for an operation
   */
  constructor(
    executor: Executor,
    statements: Statements,
    layout: Layout,
    limits: BatchLimits,
    timeout: number,
    told: Told,
  ) {
    this.#executor = executor;
    this.#statements = statements;
    this.#layout = layout;
    this.#told = told;
    const find = async (inputs: Input[], left: number): Promise<(Found | Failed)[]> => {
      const outputs = await this.#run("find", inputs, left, false);
      const first = outputs.find((output) => output !== undefined && !(output instanceof Failed));
      if (first !== undefined) told.onTime(readInstant((first as Row)["now"]).getTime());
      return outputs.map((output) => (output instanceof Failed ? output : this.#foundIn(output)));
    };
    this.#reads = new Batcher(limits, timeout, find, "find");
    const batcher = (kind: BatchKind): Batcher<Input, boolean> => {
      const run: RunBatch<Input, boolean> = async (inputs, left) => {
        const written = (await this.#run(kind, inputs, left, false)).map(isDone);
        told.onWritten(kind, written.filter((row) => row === true).length);
        return written;
      };
      return new Batcher(limits, timeout, run, kind);
    };
    this.#writes = {
      save: batcher("save"),
      create: batcher("create"),
      replace: batcher("replace"),
      touch: batcher("touch"),
      upsert: batcher("upsert"),
      update: batcher("update"),
      setExpiry: batcher("setExpiry"),
      end: batcher("end"),
      delete: batcher("delete"),
    };
  }

  /** Reads a row, with others. Those of one token may share a statement. */
  find(token: string, signal?: AbortSignal): Promise<Found> {
    return this.#reads.submit(undefined, [token], token.length, signal);
  }

  /**
   * Writes a row, with others. Those of one token follow one another.
   *
   * @param input - the columns of its kind
   * @returns whether the row was written
   */
  write(kind: WriteKind, input: Input, signal?: AbortSignal): Promise<boolean> {
    let weight = 0;
    for (const text of input) weight += text.length;
    return this.#writes[kind].submit(input[0], input, weight, signal);
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await Promise.all([this.#reads, ...Object.values(this.#writes)].map((batcher) => batcher.idle()));
  }

  /** Carries out a batch, in halves when a row of it is refused: so that it fails alone. */
  async #run(kind: BatchKind, inputs: Input[], time: number, doubt: boolean): Promise<(Output | Failed)[]> {
    const end = monotonicNow() + time;
    const whenLost = WHEN_LOST[kind];
    let inDoubt = doubt;
    try {
      return await retrying(time, whenLost !== "fail", async (lost) => {
        inDoubt ||= lost;
        const outputs = inDoubt && whenLost === "look" ? [] : await this.#once(kind, inputs);
        return inDoubt && whenLost !== "repeat" ? this.#look(kind, inputs, outputs) : outputs;
      });
    } catch (error) {
      const left = end - monotonicNow();
      if (
        inputs.length === 1 ||
        left <= 0 ||
        error instanceof StoreUnavailableError ||
        failureOf(error) !== "refused"
      ) {
        const failed = new Failed(this.#executor.explain(error));
        return inputs.map(() => failed);
      }
      const middle = inputs.length >> 1;
      return [
        ...(await this.#run(kind, inputs.slice(0, middle), left, inDoubt)),
        ...(await this.#run(kind, inputs.slice(middle), end - monotonicNow(), inDoubt)),
      ];
    }
  }

  async #once(kind: BatchKind, inputs: Input[]): Promise<Output[]> {
    const [only] = inputs;
    if (kind === "find" && inputs.length === 1 && only !== undefined) {
      const [row] = await this.#executor.run(this.#statements.findOne, [only[0]]);
      return [row];
    }
    const ordered = kind === "find" ? inputs : inputs.toSorted(([a], [b]) => (a < b ? -1 : 1));
    const values = COLUMNS[kind].map((_, column) => arrayText(ordered.map((input) => input[column] ?? "")));
    const rows = new Map<string, Row>();
    for (const row of await this.#executor.run(this.#statements[kind], values)) {
      rows.set(textOf(row, "token"), row);
      if (row["seen"] !== undefined) this.#told.onColumns(row["seen"] === "true");
    }
    return inputs.map(([token]) => rows.get(token));
  }

  /**
   * Finds out what a first attempt, whose answer was lost, has come to where a second one left the row as it is. The table
   * tells: it holds our bytes, or others', or the row has ended since.
   */
  async #look(kind: BatchKind, inputs: Input[], outputs: Output[]): Promise<(Output | Failed)[]> {
    const open = inputs.filter((_, index) => outputs[index] === undefined);
    if (open.length === 0) return outputs;
    const rows = (await this.#once("find", open)).map((row) => (isEnded(row) ? undefined : row));
    const found = new Map(open.map(([token], index) => [token, rows[index]]));
    const written = (COLUMNS[kind] as readonly string[]).indexOf("data");
    return inputs.map((input, index) => {
      const row = outputs[index] ?? found.get(input[0]);
      if (outputs[index] !== undefined || (row !== undefined && holds(this.#layout, row, input[written] ?? "")))
        return row;
      // It had a row to find, which is gone, whether by way of our bytes or not.
      if (WHEN_LOST[kind] === "repeat and look" && row === undefined) return undefined;
      return new Failed(
        new StoreUnavailableError("the connection was lost during a write, and its outcome is unknown"),
      );
    });
  }

  #foundIn(row: Output): Found {
    if (isEnded(row)) return reasonOf(this.#layout.decode(row?.["data"]));
    return row && { data: this.#layout.decode(row["data"]), expiry: readInstant(row["expiry"]) };
  }
}

function isEnded(row: Output): boolean {
  return row?.["ended"] === "true";
}

function isDone(output: Output | Failed): boolean | Failed {
  return output instanceof Failed ? output : output !== undefined;
}
