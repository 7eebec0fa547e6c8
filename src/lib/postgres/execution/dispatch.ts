import { monotonicNow } from "../../core/time.ts";
import { StoreUnavailableError } from "../../core/errors.ts";
import { FENCE_ID } from "../../core/token.ts";
import type { Found } from "../../core/store.ts";
import {
  Again,
  type BatchLimits,
  type BatchOutput,
  Company,
  Failed,
  type Item,
  Large,
  Refusal,
  type RunBatch,
} from "./batch.ts";
import { Batcher } from "./batcher.ts";
import { tooLate } from "../drivers/deadline.ts";
import { type Load, type Row, textOf } from "../drivers/driver.ts";
import type { Executor } from "./executor.ts";
import { holds, type Layout, reasonOf } from "../sql/layout.ts";
import { retrying } from "./retry.ts";
import { type BatchKind, COLUMNS, type Statements } from "../sql/statements.ts";
import { mayLieInRow, sqlstateOf } from "../drivers/errors.ts";
import { arrayText, readInstant } from "../sql/text-format.ts";

/** A row of a batch: the columns of its kind as text, the id first. */
export type Input = readonly [id: string, ...columns: string[]];

/** What a row came to: the row that the statement returned for its id, if it did. */
type Output = Row | undefined;

/** Length of a row's data, as text, from which each of those who look for it at once gets theirs in turn. */
const LARGE_BYTES = 1 << 16;
/** When as many of a batch are refused alone as well, and nothing of it was accepted, it lies in none of them. */
const PROBES = 6;
/** SQLSTATEs: untranslatable_character, invalid_text_representation. */
const VALUE_REFUSED = /^22P0[25]$/;
/** Ids that are remembered, as their rows were refused. */
const MOST_OFFENDERS = 1000;

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
  /** A statement has seen the fence. Resolves to which of the rows that it has found are behind it, and which are not. */
  onFence: (ids: readonly string[]) => Promise<ReadonlyMap<string, boolean>>;
}

/** The operations of a store, each kind with a queue of its own. */
export class Batches {
  readonly #executor: Executor;
  readonly #statements: Statements;
  readonly #layout: Layout;
  readonly #told: Told;
  readonly #timeout: number;
  /** Ids whose rows the database has refused: theirs go alone, so that they hold up nobody a second time. */
  readonly #offenders = new Set<string>();
  /** The bytes of large rows, for all who look for the same one at once. */
  readonly #shared = new WeakMap<Row, Uint8Array>();
  /** Whether the column is of a type that refuses what the layout says. */
  #refusesThose = false;
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
    this.#timeout = timeout;
    const find: RunBatch<Input, Found> = async (items, left) => {
      const outputs = await this.#run("find", items, left);
      const first = outputs.find(isRow);
      if (first !== undefined) told.onTime(readInstant(first["now"]).getTime());
      const behind = await this.#behindFence(outputs);
      const rest = new Again(new Company());
      return outputs.map((output) =>
        output === undefined || isRow(output) ? this.#foundIn(output, rest, behind) : output,
      );
    };
    this.#reads = new Batcher(limits, timeout, find, "find");
    const batcher = (kind: BatchKind): Batcher<Input, boolean> => {
      const run: RunBatch<Input, boolean> = async (items, left) => {
        const outputs = await this.#run(kind, items, left);
        const behind = await this.#behindFence(outputs);
        const written = outputs.map((output) => {
          if (output === undefined) return false;
          return isRow(output) ? behind?.get(textOf(output, "token")) !== true : output;
        });
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

  /** Reads a row, with others. Those of one id may share a statement. */
  find(id: string, signal?: AbortSignal): Promise<Found> {
    return this.#reads.submit(undefined, [id], id.length, signal);
  }

  /**
   * Writes a row, with others. Those of one id follow one another.
   *
   * @param input - the columns of its kind
   * @returns whether the row was written
   */
  write(kind: WriteKind, input: Input, signal?: AbortSignal): Promise<boolean> {
    let weight = 0;
    for (const text of input) weight += text.length;
    const refusable = this.#refusableIn(kind, input);
    if (refusable !== undefined && this.#refusesThose) return Promise.reject(new TypeError(refusable));
    const isSuspect = refusable !== undefined || this.#offenders.has(input[0]);
    return this.#writes[kind].submit(input[0], input, weight, signal, isSuspect ? new Company() : undefined);
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await Promise.all([this.#reads, ...Object.values(this.#writes)].map((batcher) => batcher.idle()));
  }

  /** Carries out a batch. When rows of it may be refused, they go on in smaller companies, until such a one stands alone. */
  async #run(kind: BatchKind, items: readonly Item<Input>[], time: number): Promise<(Output | Failed | Again)[]> {
    const refusal = items[0]?.company?.refusal;
    if (refusal !== undefined && !refusal.wasAccepted && refusal.refusedAlone >= PROBES) {
      return items.map(() => new Failed(refusal.error));
    }
    const whenLost = WHEN_LOST[kind];
    let inDoubt = refusal?.inDoubt === true;
    try {
      const outputs = await retrying(time, whenLost !== "fail", async (lost) => {
        inDoubt ||= lost;
        const first = inDoubt && whenLost === "look" ? items.map(() => undefined) : await this.#once(kind, items);
        return inDoubt && whenLost !== "repeat" ? this.#look(kind, items, first) : first;
      });
      if (refusal !== undefined) refusal.wasAccepted = true;
      if (items.length === 1) this.#offenders.delete(items[0]?.input[0] ?? "");
      return outputs;
    } catch (thrown) {
      const error = this.#executor.explain(thrown);
      if (!mayLieInRow(thrown)) return items.map(() => new Failed(error));
      if (items.length > 1) return inCompanies(items.length, refusal ?? new Refusal(error, inDoubt));
      const refusable = items[0] && this.#refusableIn(kind, items[0].input);
      if (refusable !== undefined && VALUE_REFUSED.test(sqlstateOf(thrown) ?? "")) {
        this.#refusesThose = true;
        return [new Failed(new TypeError(refusable, { cause: error }))];
      }
      if (refusal !== undefined) refusal.refusedAlone++;
      this.#remember(items[0]?.input[0] ?? "");
      return [new Failed(error)];
    }
  }

  #refusableIn(kind: BatchKind, input: Input): string | undefined {
    const { refusable } = this.#layout;
    if (refusable === undefined) return undefined;
    const data = (COLUMNS[kind] as readonly string[]).indexOf("data");
    return data < 0 ? undefined : refusable(input[data] ?? "");
  }

  #remember(offender: string): void {
    const [oldest] = this.#offenders;
    if (this.#offenders.size >= MOST_OFFENDERS && oldest !== undefined) this.#offenders.delete(oldest);
    this.#offenders.add(offender);
  }

  /** Sends what of a batch is not too old when it can be sent. */
  async #once(kind: BatchKind, items: readonly Item<Input>[], isRest = false): Promise<(Output | Failed)[]> {
    // Rows of a write are locked in their order.
    const ordered = kind === "find" ? items : items.toSorted((a, b) => (a.input[0] < b.input[0] ? -1 : 1));
    const isLone = kind === "find" && items.length === 1;
    const statement = isLone
      ? "findOne"
      : kind === "find" && (isRest || items[0]?.company !== undefined)
        ? "findLarge"
        : kind;
    /** The ids of those that were in time; undefined: all were. */
    let sent = new Set<string>() as Set<string> | undefined;
    const load = (): Load | undefined => {
      const now = monotonicNow();
      const inTime = ordered.filter(({ until }) => now < until);
      if (inTime.length === 0) return undefined;
      sent = inTime.length === ordered.length ? undefined : new Set(inTime.map(({ input }) => input[0]));
      const until = inTime.reduce((earliest, item) => Math.min(earliest, item.until), Number.POSITIVE_INFINITY);
      if (kind === "find") {
        // The same session may be looked for by many at once.
        const ids = [...new Set(inTime.map(({ input }) => input[0]))];
        return { values: isLone ? ids : [arrayText(ids)], until };
      }
      return { values: COLUMNS[kind].map((_, n) => arrayText(inTime.map(({ input }) => input[n] ?? ""))), until };
    };
    const rows = new Map<string, Row>();
    for (const row of await this.#executor.run(this.#statements[statement], load)) {
      rows.set(textOf(row, "token"), row);
      if (row["seen"] !== undefined) this.#told.onColumns(row["seen"] === "true");
    }
    if (rows.delete(FENCE_ID)) for (const row of rows.values()) row["fence"] = "true";
    return items.map(({ input }) =>
      sent === undefined || sent.has(input[0]) ? rows.get(input[0]) : new Failed(tooLate(this.#timeout)),
    );
  }

  /**
   * Finds out what a first attempt, whose answer was lost, has come to where a second one left the row as it is. The table
   * tells: it holds our bytes, or others', or the row has ended since.
   */
  async #look(
    kind: BatchKind,
    items: readonly Item<Input>[],
    outputs: readonly (Output | Failed)[],
  ): Promise<(Output | Failed)[]> {
    let open = items.filter((_, index) => outputs[index] === undefined);
    const found = new Map<string, Output | Failed>();
    while (open.length > 0) {
      const answers = await this.#once("find", open, true);
      for (const [index, { input }] of open.entries()) found.set(input[0], answers[index]);
      open = open.filter((_, index) => isRow(answers[index]) && isDeferred(answers[index]));
    }
    const written = (COLUMNS[kind] as readonly string[]).indexOf("data");
    return items.map(({ input }, index) => {
      if (outputs[index] !== undefined) return outputs[index];
      const answer = found.get(input[0]);
      if (answer instanceof Failed) return answer;
      const row = isEnded(answer) ? undefined : answer;
      if (row !== undefined && holds(this.#layout, row, input[written] ?? "")) return row;
      // It had a row to find, which is gone, whether by way of our bytes or not.
      if (WHEN_LOST[kind] === "repeat and look" && row === undefined) return undefined;
      return new Failed(
        new StoreUnavailableError("the connection was lost during a write, and its outcome is unknown"),
      );
    });
  }

  /** Asks which sessions are behind the fence, where their statement has seen one; undefined: none is. */
  async #behindFence(outputs: readonly (Output | Failed | Again)[]): Promise<ReadonlyMap<string, boolean> | undefined> {
    if (!outputs.some(hasFence)) return undefined;
    const ids = new Set(outputs.filter(hasFence).map((row) => textOf(row, "token")));
    return this.#told.onFence([...ids]);
  }

  /**
   * @param rest - the outcome of a row whose data was left out, or that has ended since: it is read again, apart from other look-ups
   * @param behind - of the sessions whose statement has seen the fence
   */
  #foundIn(row: Output, rest: Again, behind?: ReadonlyMap<string, boolean>): BatchOutput<Found> {
    if (row === undefined) return undefined;
    if (isDeferred(row)) return rest;
    const text = row["data"];
    if (isEnded(row)) return reasonOf(this.#layout.decode(text));
    if (hasFence(row)) {
      const isBehind = behind?.get(textOf(row, "token"));
      if (isBehind !== false) return isBehind === true ? "revoked" : rest;
    }
    const expiry = readInstant(row["expiry"]);
    const length = text?.length ?? 0;
    if (length <= LARGE_BYTES) return { data: this.#layout.decode(text), expiry };
    return new Large(length, () => {
      const data = this.#shared.get(row) ?? this.#layout.decode(text);
      this.#shared.set(row, data);
      return { data, expiry };
    });
  }
}

/** Divides operations that were refused together: three go alone, as probes for whether the reason lies in single rows, the rest in halves. */
function inCompanies(count: number, refusal: Refusal): Again[] {
  const halves = [new Again(new Company(refusal)), new Again(new Company(refusal))] as const;
  const alone = new Set([0, count >> 1, count - 1]);
  return Array.from({ length: count }, (_, n) =>
    alone.has(n) ? new Again(new Company(refusal)) : n < count / 2 ? halves[0] : halves[1],
  );
}

/** The answer would have become too long with its data. */
function isDeferred(row: Row): boolean {
  return row["data"] === null;
}

function isRow(output: Output | Failed | Again): output is Row {
  return output !== undefined && !(output instanceof Failed) && !(output instanceof Again);
}

/** The statement has seen the fence beside this session. */
function hasFence(output: Output | Failed | Again): output is Row {
  return isRow(output) && output["fence"] != null && !isEnded(output);
}

function isEnded(row: Output): boolean {
  return row?.["ended"] === "true";
}
