import { monotonicNow } from "../../core/time.ts";
import { StoreUnavailableError } from "../../core/errors.ts";
import { FENCE_ID } from "../../core/token.ts";
import type { Found, WriteOutcome } from "../../core/store.ts";
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
import { type Load, loadUntil, type Row, textOf } from "../drivers/driver.ts";
import type { Executor } from "./executor.ts";
import type { Statement } from "../sql/fragments.ts";
import { holds, type Layout, reasonOf } from "../sql/layout.ts";
import type { Operation } from "../sql/operation.ts";
import type { Operations, WriteKind } from "../sql/operations.ts";
import type { Additions } from "../sql/statements.ts";
import { retrying } from "./retry.ts";
import { mayLieInRow, sqlstateOf } from "../drivers/errors.ts";
import { arrayText, readInstant } from "../sql/text-format.ts";

/** A row of an operation: its columns as text, the id first. */
export type Input = readonly [id: string, ...columns: string[]];

/** The row that a statement returned for an id, if any. */
type Output = Row | undefined;

/** Characters of a row's data from which parallel look-ups of it are answered one after the other. */
const LARGE_CHARACTERS = 1 << 16;
/** Operations of a batch refused alone, with none accepted, after which the reason can't lie in a row. */
const MAX_REFUSED_ALONE = 6;
/** SQLSTATEs: untranslatable_character, invalid_text_representation. */
const VALUE_REFUSED = /^22P0[25]$/;
/** Remembered ids whose rows were refused. */
const MAX_OFFENDERS = 1000;

/** Statements of an unshared operation under way at once: the default number of connections of a pool. */
const MAX_LONE_STATEMENTS = 10;
const UNIQUE_VIOLATION = "23505";
/** undefined_column, insufficient_privilege */
const NO_COLUMN = /^(?:42703|42501)$/;

/** Callbacks from the operations to their store. */
interface Told {
  /** @param now - the database's time, in milliseconds since 1970 */
  onTime: (now: number) => void;
  /** Returns the known additions of `migrate`, or asks for them. */
  additions: () => Additions | Promise<Additions>;
  /** Called when a column from `additions` turns out to be missing. */
  onMissing: () => void;
  /** Called with the number of rows that a statement has written. */
  onWritten: (operation: Operation, rows: number) => void;
  /** Called when a statement has seen the fence. Resolves to whether each found row is behind it. */
  onFence: (ids: readonly string[]) => Promise<ReadonlyMap<string, boolean>>;
}

/** Runs the operations of a store, with a queue for each kind. */
export class Dispatcher {
  readonly #executor: Executor;
  readonly #operations: Operations;
  readonly #layout: Layout;
  readonly #told: Told;
  readonly #timeout: number;
  /** Ids whose rows the database has refused. Their next writes go alone, so that they don't hold up others again. */
  readonly #offenders = new Set<string>();
  /** The bytes of large rows, shared by parallel look-ups. */
  readonly #shared = new WeakMap<Row, Uint8Array>();
  /** Whether the data column has refused what the layout calls refusable. */
  #refusesThose = false;
  readonly #reads: Batcher<Input, Found>;
  readonly #writes: ReadonlyMap<WriteKind, Batcher<Input, WriteOutcome>>;

  /** Creates the queues of a store. @param timeout - milliseconds for an operation */
  constructor(
    executor: Executor,
    operations: Operations,
    layout: Layout,
    limits: BatchLimits,
    timeout: number,
    told: Told,
  ) {
    this.#executor = executor;
    this.#operations = operations;
    this.#layout = layout;
    this.#told = told;
    this.#timeout = timeout;
    const { find, ...writes } = operations;
    this.#reads = new Batcher(limits, timeout, (items, left) => this.#find(find, items, left), "find");
    const batcher = (kind: string, operation: Operation): Batcher<Input, WriteOutcome> => {
      const bounds = operation.isShared ? limits : { ...limits, rows: 1, statements: MAX_LONE_STATEMENTS };
      const run: RunBatch<Input, WriteOutcome> = (items, left) => this.#write(operation, items, left);
      return new Batcher(bounds, timeout, run, operation.event ?? kind);
    };
    this.#writes = new Map(
      (Object.keys(writes) as WriteKind[]).map((kind) => [kind, batcher(kind, writes[kind])] as const),
    );
  }

  /** Reads a row, batched with other look-ups, even of the same id. */
  find(id: string, signal?: AbortSignal): Promise<Found> {
    return this.#reads.submit(undefined, [id], id.length, signal);
  }

  /**
   * Writes a row, batched if its operation is shared. Writes of one id run one after the other.
   *
   * @param input - the columns of its operation
   */
  write(kind: WriteKind, input: Input, signal?: AbortSignal): Promise<WriteOutcome> {
    let weight = 0;
    for (const text of input) weight += text.length;
    const refusable = this.#refusableIn(this.#operations[kind], input);
    if (refusable !== undefined && this.#refusesThose) return Promise.reject(new TypeError(refusable));
    const isSuspect = refusable !== undefined || this.#offenders.has(input[0]);
    const batcher = this.#writes.get(kind) as Batcher<Input, WriteOutcome>;
    return batcher.submit(input[0], input, weight, signal, isSuspect ? new Company() : undefined);
  }

  /** Resolves when no operation is under way. */
  async idle(): Promise<void> {
    await Promise.all([this.#reads, ...this.#writes.values()].map((batcher) => batcher.idle()));
  }

  async #find(find: Operation, items: readonly Item<Input>[], left: number): Promise<BatchOutput<Found>[]> {
    const outputs = await this.#run(find, items, left);
    const first = outputs.find(isRow);
    if (first !== undefined) this.#told.onTime(readInstant(first["now"]).getTime());
    const behind = await this.#behindFence(outputs);
    const rest = new Again(new Company());
    return outputs.map((output) =>
      output === undefined || isRow(output) ? this.#foundIn(output, rest, behind) : output,
    );
  }

  async #write(
    operation: Operation,
    items: readonly Item<Input>[],
    left: number,
  ): Promise<BatchOutput<WriteOutcome>[]> {
    const outputs = await this.#run(operation, items, left);
    const behind = await this.#behindFence(outputs);
    const outcomes = outputs.map((output) =>
      output === undefined || isRow(output) ? outcomeOf(output, behind) : output,
    );
    this.#told.onWritten(operation, outcomes.filter((outcome) => outcome === true || outcome === "few").length);
    return outcomes;
  }

  /** Runs a batch. If the reason of a refusal may lie in a row, the batch is divided until that row stands alone. */
  async #run(operation: Operation, items: readonly Item<Input>[], time: number): Promise<(Output | Failed | Again)[]> {
    const refusal = items[0]?.company?.refusal;
    if (refusal !== undefined && !refusal.wasAccepted && refusal.refusedAlone >= MAX_REFUSED_ALONE) {
      return items.map(() => new Failed(refusal.error));
    }
    const { whenLost } = operation;
    let inDoubt = refusal?.inDoubt === true;
    try {
      const outputs = await retrying(time, whenLost !== "fail", async (lost) => {
        inDoubt ||= lost;
        const first = inDoubt && whenLost === "look" ? items.map(() => undefined) : await this.#once(operation, items);
        return inDoubt && whenLost !== "repeat" ? this.#look(operation, items, first) : first;
      });
      if (refusal !== undefined) refusal.wasAccepted = true;
      if (items.length === 1) this.#offenders.delete(items[0]?.input[0] ?? "");
      return outputs;
    } catch (thrown) {
      const error = this.#executor.explain(thrown);
      if (!mayLieInRow(thrown)) return items.map(() => new Failed(error));
      if (items.length > 1) return inCompanies(items.length, refusal ?? new Refusal(error, inDoubt));
      const refusable = items[0] && this.#refusableIn(operation, items[0].input);
      if (refusable !== undefined && VALUE_REFUSED.test(sqlstateOf(thrown) ?? "")) {
        this.#refusesThose = true;
        return [new Failed(new TypeError(refusable, { cause: error }))];
      }
      if (refusal !== undefined) refusal.refusedAlone++;
      this.#remember(items[0]?.input[0] ?? "");
      return [new Failed(error)];
    }
  }

  #refusableIn({ columns }: Operation, input: Input): string | undefined {
    const { refusable } = this.#layout;
    if (refusable === undefined) return undefined;
    const data = columns.indexOf("data");
    return data < 0 ? undefined : refusable(input[data] ?? "");
  }

  #remember(offender: string): void {
    const [oldest] = this.#offenders;
    if (this.#offenders.size >= MAX_OFFENDERS && oldest !== undefined) this.#offenders.delete(oldest);
    this.#offenders.add(offender);
  }

  /** Sends the operations of a batch that are not too old at the moment of sending. */
  async #once(operation: Operation, items: readonly Item<Input>[], isRest = false): Promise<(Output | Failed)[]> {
    const [only] = items;
    if (!operation.isShared && only !== undefined) return [await this.#alone(operation, only)];
    const isFind = operation === this.#operations.find;
    // Writes lock rows in the order of their ids.
    const ordered = isFind ? items : items.toSorted((a, b) => (a.input[0] < b.input[0] ? -1 : 1));
    const isLone = isFind && items.length === 1;
    /** The ids that were sent in time. Undefined means all. */
    let sent = new Set<string>() as Set<string> | undefined;
    const load = (): Load | undefined => {
      const now = monotonicNow();
      const inTime = ordered.filter(({ until }) => now < until);
      if (inTime.length === 0) return undefined;
      sent = inTime.length === ordered.length ? undefined : new Set(inTime.map(({ input }) => input[0]));
      const until = inTime.reduce((earliest, item) => Math.min(earliest, item.until), Number.POSITIVE_INFINITY);
      if (isFind) {
        // Parallel look-ups may share an id.
        const ids = [...new Set(inTime.map(({ input }) => input[0]))];
        return { values: isLone ? ids : [arrayText(ids)], until };
      }
      return { values: operation.columns.map((_, n) => arrayText(inTime.map(({ input }) => input[n] ?? ""))), until };
    };
    const answer = isFind
      ? this.#executor.run(this.#findBy(isLone, isRest || only?.company !== undefined), load)
      : this.#runWrite(operation, load);
    const rows = new Map<string, Row>();
    for (const row of await answer) rows.set(textOf(row, "token"), row);
    if (rows.delete(FENCE_ID)) for (const row of rows.values()) row["fence"] = "true";
    return items.map(({ input }) =>
      sent === undefined || sent.has(input[0]) ? rows.get(input[0]) : new Failed(tooLate(this.#timeout)),
    );
  }

  /** Sends a row in its own statement. */
  async #alone(operation: Operation, { input, until }: Item<Input>): Promise<Output> {
    const rows = await this.#executor.run(operation.statement, loadUntil([...input], until)).catch(unlessTaken);
    return rows[0];
  }

  #findBy(isLone: boolean, isRest: boolean): Statement {
    const { single, large, statement } = this.#operations.find;
    if (isLone) return single;
    return isRest ? large : statement;
  }

  /** Runs a shared write, in the same tick if it is known whether the column `last_seen` can be written. */
  #runWrite(operation: Operation, load: () => Load | undefined): Promise<Row[]> {
    const { statement, noting } = operation;
    if (noting === undefined) return this.#executor.run(statement, load);
    const known = this.#told.additions();
    if (known instanceof Promise)
      return known.then(({ seen }) => this.#note(seen ? noting : statement, statement, load));
    return this.#note(known.seen ? noting : statement, statement, load);
  }

  /** Runs a statement. @param otherwise - the statement to run if the column is missing or denied */
  async #note(statement: Statement, otherwise: Statement, load: () => Load | undefined): Promise<Row[]> {
    try {
      return await this.#executor.run(statement, load);
    } catch (error) {
      if (statement === otherwise || !NO_COLUMN.test(sqlstateOf(error) ?? "")) throw error;
      this.#told.onMissing();
      return this.#executor.run(otherwise, load);
    }
  }

  /**
   * Finds out whether a first attempt whose answer was lost was carried out, if the second one changed nothing: the row holds
   * the bytes of this write or others, or has ended since.
   */
  async #look(
    { columns, whenLost }: Operation,
    items: readonly Item<Input>[],
    outputs: readonly (Output | Failed)[],
  ): Promise<(Output | Failed)[]> {
    const id = Math.max(columns.indexOf("new_token"), 0);
    const data = columns.indexOf("data");
    const sought = items.map((item): Item<Input> => ({ ...item, input: [item.input[id] ?? ""] }));
    let open = sought.filter((_, index) => outputs[index] === undefined);
    const found = new Map<string, Output | Failed>();
    while (open.length > 0) {
      const answers = await this.#once(this.#operations.find, open, true);
      for (const [index, { input }] of open.entries()) found.set(input[0], answers[index]);
      open = open.filter((_, index) => isRow(answers[index]) && isDeferred(answers[index]));
    }
    return items.map(({ input }, index) => {
      if (outputs[index] !== undefined) return outputs[index];
      const answer = found.get(input[id] ?? "");
      if (answer instanceof Failed) return answer;
      const row = isEnded(answer) ? undefined : answer;
      if (row !== undefined && holds(this.#layout, row, input[data] ?? "")) return row;
      // The row is gone, whether or not it ever held these bytes.
      if (whenLost === "repeat and look" && row === undefined) return undefined;
      return new Failed(
        new StoreUnavailableError("the connection was lost during a write, and its outcome is unknown"),
      );
    });
  }

  /** Asks which sessions are behind the fence. Resolves to undefined when no statement has seen one. */
  async #behindFence(outputs: readonly (Output | Failed | Again)[]): Promise<ReadonlyMap<string, boolean> | undefined> {
    if (!outputs.some(hasFence)) return undefined;
    const ids = new Set(outputs.filter(hasFence).map((row) => textOf(row, "token")));
    return this.#told.onFence([...ids]);
  }

  /**
   * Turns a row into the result of a look-up.
   *
   * @param rest - the result for a row to be read again: its data was left out, or it has ended since
   * @param behind - whether sessions are behind the fence
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
    if (length <= LARGE_CHARACTERS) return { data: this.#layout.decode(text), expiry };
    return new Large(length, () => {
      const data = this.#shared.get(row) ?? this.#layout.decode(text);
      this.#shared.set(row, data);
      return { data, expiry };
    });
  }
}

/** Divides a refused batch: three operations go alone, to find out whether the reason lies in single rows, the rest in halves. */
function inCompanies(count: number, refusal: Refusal): Again[] {
  const halves = [new Again(new Company(refusal)), new Again(new Company(refusal))] as const;
  const alone = new Set([0, count >> 1, count - 1]);
  return Array.from({ length: count }, (_, n) =>
    alone.has(n) ? new Again(new Company(refusal)) : n < count / 2 ? halves[0] : halves[1],
  );
}

/** Whether the data was left out because the answer would have been too long. */
function isDeferred(row: Row): boolean {
  return row["data"] === null;
}

function isRow(output: Output | Failed | Again): output is Row {
  return output !== undefined && !(output instanceof Failed) && !(output instanceof Again);
}

/** Whether the statement has seen the fence and found this session live. */
function hasFence(output: Output | Failed | Again): output is Row {
  return isRow(output) && output["fence"] != null && !isEnded(output);
}

function isEnded(row: Output): boolean {
  return row?.["ended"] === "true";
}

/** Turns a row into the outcome of a write. @param behind - whether sessions are behind the fence */
function outcomeOf(row: Output, behind?: ReadonlyMap<string, boolean>): WriteOutcome {
  if (row?.["crossed"] === "true") return "revoked";
  if (row === undefined || row["done"] === "false" || behind?.get(textOf(row, "token")) === true) return false;
  return row["few"] === "true" ? "few" : true;
}

/** Returns no rows when the new id is taken. */
function unlessTaken(error: unknown): Row[] {
  if (sqlstateOf(error) === UNIQUE_VIOLATION) return [];
  throw error;
}
