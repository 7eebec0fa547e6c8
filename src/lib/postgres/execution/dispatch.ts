import { StoreUnavailableError } from "../../core/errors.ts";
import type { Found, WriteOutcome } from "../../core/store.ts";
import {
  type BatchLimits,
  type BatchOutput,
  Company,
  Failed,
  inCompanies,
  type Item,
  Large,
  MAX_LONE_STATEMENTS,
  remember,
  type RunBatch,
} from "./batch.ts";
import { Batcher } from "./batcher.ts";
import { type Errand, loadUntil, type Row, textOf, tooLate } from "../drivers/driver.ts";
import { type Executor, retrying } from "./executor.ts";
import { holds, type Layout, reasonOf } from "../sql/layout.ts";
import { type Find, type Operation, outcomeOf } from "../sql/operation.ts";
import type { Operations, WriteKind } from "../sql/operations.ts";
import type { Additions } from "../sql/statements.ts";
import { mayLieInRow, noRowsIfTaken, sqlstateOf } from "../drivers/errors.ts";
import { arrayText, type FoundRow, instantOf, readFound, readSingle } from "../sql/text-format.ts";

/** A row of an operation: its columns as text, the id first. */
export type Input = readonly [id: string, ...columns: string[]];

/** Characters of a row's data from which parallel look-ups of it are answered one after the other. */
const LARGE_CHARACTERS = 1 << 16;
/** Operations of a batch refused alone, with none accepted, after which the reason can't lie in a row. */
const MAX_REFUSED_ALONE = 6;
/** SQLSTATEs: untranslatable_character, invalid_text_representation. */
const VALUE_REFUSED = /^22P0[25]$/;

/** undefined_column, insufficient_privilege */
const NO_COLUMN = /^(?:42703|42501)$/;

/** Callbacks from the operations to their store. */
interface Told {
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
  /**
   * Ids whose rows the database has refused. Their next writes go alone, so that they don't hold up other rows again.
   */
  readonly #offenders = new Set<string>();
  /** The bytes of large rows, shared by parallel look-ups. */
  readonly #shared = new WeakMap<FoundRow, Uint8Array>();
  /** Whether the data column has refused a text that the layout calls refusable. */
  #refusesThose = false;
  #isStopped = false;
  readonly #reads: Batcher<string, Found>;
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
    if (this.#isStopped) return Promise.reject(closed());
    return this.#reads.submit(undefined, id, id.length, signal);
  }

  /**
   * Writes a row, batched if its operation is shared. Writes of one kind and id run one after the other.
   *
   * @param input - the columns of its operation
   */
  write(kind: WriteKind, input: Input, signal?: AbortSignal): Promise<WriteOutcome> {
    if (this.#isStopped) return Promise.reject(closed());
    let weight = 0;
    for (const text of input) weight += text.length;
    const refusable = this.#refusableIn(this.#operations[kind], input);
    if (refusable !== undefined && this.#refusesThose) return Promise.reject(new TypeError(refusable));
    const isSuspect = refusable !== undefined || this.#offenders.has(input[0]);
    const batcher = this.#writes.get(kind) as Batcher<Input, WriteOutcome>;
    return batcher.submit(input[0], input, weight, signal, isSuspect ? new Company() : undefined);
  }

  /** Refuses new operations from now on. */
  refuse(): void {
    this.#isStopped = true;
  }

  /** Resolves when no operation is under way. */
  async idle(): Promise<void> {
    await Promise.all([this.#reads, ...this.#writes.values()].map((batcher) => batcher.idle()));
  }

  #find(find: Find, items: readonly Item<string>[], left: number): Promise<BatchOutput<Found>[]> {
    let isFenced = false;
    const see = () => this.#see(items, items[0]?.company !== undefined, () => (isFenced = true));
    return this.#run(find, items, left, see).then((outputs) => {
      const found = (behind?: ReadonlyMap<string, boolean>): BatchOutput<Found>[] => {
        /** The rows that are read again, together. */
        let rest: Company | undefined;
        return outputs.map((output, index) => {
          if (!isRow(output)) return output;
          return this.#foundIn(output, behind, items[index]?.input ?? "") ?? (rest ??= new Company());
        });
      };
      return isFenced ? this.#behindFence(outputs, items).then(found) : found();
    });
  }

  async #write(
    operation: Operation,
    items: readonly Item<Input>[],
    left: number,
  ): Promise<BatchOutput<WriteOutcome>[]> {
    const { whenLost } = operation;
    const outputs = await this.#run<Row, Input>(operation, items, left, async (inDoubt) => {
      if (!inDoubt) return this.#once(operation, items);
      const first = whenLost === "look" ? items.map(() => undefined) : await this.#once(operation, items);
      return whenLost === "repeat" ? first : this.#look(operation, items, first);
    });
    const fenced = outputs.filter(isRow).filter((row) => row["fence"] != null);
    const behind = fenced.length > 0 ? await this.#told.onFence(fenced.map((row) => textOf(row, "token"))) : undefined;
    const outcomes = outputs.map((output) =>
      output instanceof Failed || output instanceof Company ? output : outcomeOf(output, behind),
    );
    this.#told.onWritten(operation, outcomes.filter((outcome) => outcome === true || outcome === "few").length);
    return outcomes;
  }

  /**
   * Runs a batch. If the reason of a refusal may lie in a row, the batch is divided until that row stands alone.
   *
   * @param attempt - called with whether an earlier attempt may have been carried out
   */
  #run<R, In extends string | Input>(
    operation: Operation,
    items: readonly Item<In>[],
    time: number,
    attempt: (inDoubt: boolean) => Promise<(R | undefined | Failed)[]>,
  ): Promise<(R | undefined | Failed | Company)[]> {
    const [first] = items;
    const refusal = first?.company?.refusal;
    if (refusal !== undefined && !refusal.wasAccepted && refusal.refusedAlone >= MAX_REFUSED_ALONE) {
      return Promise.resolve(items.map(() => new Failed(refusal.error)));
    }
    let inDoubt = refusal?.inDoubt === true;
    return retrying(time, operation.whenLost !== "fail", (lost) => attempt((inDoubt ||= lost))).then(
      (outputs) => {
        if (refusal !== undefined) refusal.wasAccepted = true;
        if (items.length === 1 && this.#offenders.size > 0) this.#offenders.delete(idOf(first));
        return outputs;
      },
      (thrown: unknown) => this.#refused(operation, items, thrown, inDoubt),
    );
  }

  /** Decides what becomes of the operations of a batch that has failed. @param inDoubt - as in `Refusal` */
  #refused<In extends string | Input>(
    operation: Operation,
    items: readonly Item<In>[],
    thrown: unknown,
    inDoubt: boolean,
  ): (Failed | Company)[] {
    const [first] = items;
    const refusal = first?.company?.refusal;
    const error = this.#executor.explain(thrown);
    if (!mayLieInRow(thrown)) return items.map(() => new Failed(error));
    if (items.length > 1)
      return inCompanies(items.length, refusal ?? { error, inDoubt, wasAccepted: false, refusedAlone: 0 });
    const refusable = typeof first?.input === "object" ? this.#refusableIn(operation, first.input) : undefined;
    if (refusable !== undefined && VALUE_REFUSED.test(sqlstateOf(thrown) ?? "")) {
      this.#refusesThose = true;
      return [new Failed(new TypeError(refusable, { cause: error }))];
    }
    if (refusal !== undefined) refusal.refusedAlone++;
    remember(this.#offenders, idOf(first));
    return [new Failed(error)];
  }

  #refusableIn({ columns }: Operation, input: Input): string | undefined {
    const { refusable } = this.#layout;
    if (refusable === undefined) return undefined;
    const data = columns.indexOf("data");
    return data < 0 ? undefined : refusable(input[data] ?? "");
  }

  /**
   * Sends look-ups that are not too old at the moment of sending.
   *
   * @param isRest - reads rows that were left out before
   * @param onFence - called if the statement has seen the fence
   */
  #see(
    items: readonly Item<string>[],
    isRest: boolean,
    onFence: () => void,
  ): Promise<(FoundRow | undefined | Failed)[]> {
    const { single, large, statement } = this.#operations.find;
    const isLone = items.length === 1;
    /** The positions of the ids that were sent. Parallel look-ups may share one. */
    let positions = new Map<string, number>();
    const load = loadInTime(items, (inTime) => {
      positions = new Map();
      for (const { input } of inTime) if (!positions.has(input)) positions.set(input, positions.size);
      return isLone ? [items[0]?.input] : [arrayText([...positions.keys()])];
    });
    return this.#executor.run(isLone ? single : isRest ? large : statement, load).then((answer) => {
      const [first] = answer;
      if (first?.["now"] != null) this.#executor.clock.observe(instantOf(first["now"]));
      const { rows, isFenced } = isLone ? readSingle(answer) : readFound(first?.["found"], positions.size);
      if (isFenced) onFence();
      return items.map(({ input }) => {
        const position = positions.get(input);
        return position === undefined ? new Failed(tooLate(this.#timeout)) : rows[position];
      });
    });
  }

  /** Sends the writes of a batch that are not too old at the moment of sending. */
  async #once(operation: Operation, items: readonly Item<Input>[]): Promise<(Row | undefined | Failed)[]> {
    const [only] = items;
    if (!operation.isShared && only !== undefined) return [await this.#alone(operation, only)];
    // Writes lock rows in the order of their ids.
    const ordered = items.toSorted((a, b) => (a.input[0] < b.input[0] ? -1 : 1));
    /** The ids that were sent in time. Undefined means all. */
    let sent: ReadonlySet<string> | undefined;
    const load = loadInTime(ordered, (inTime) => {
      sent = inTime.length === ordered.length ? undefined : new Set(inTime.map(idOf));
      return operation.columns.map((_, n) => arrayText(inTime.map(({ input }) => input[n] ?? "")));
    });
    const rows = new Map<string, Row>();
    for (const row of await this.#runWrite(operation, load)) rows.set(textOf(row, "token"), row);
    return items.map(({ input }) =>
      sent === undefined || sent.has(input[0]) ? rows.get(input[0]) : new Failed(tooLate(this.#timeout)),
    );
  }

  /** Sends a row in its own statement. */
  async #alone(operation: Operation, { input, until }: Item<Input>): Promise<Row | undefined> {
    const rows = await this.#executor.run(operation.statement, loadUntil([...input], until)).catch(noRowsIfTaken);
    return rows[0];
  }

  /** Runs a shared write, in the same tick if it is known whether the column `last_seen` can be written. */
  async #runWrite({ statement, noting }: Operation, load: Errand["load"]): Promise<Row[]> {
    if (noting === undefined) return this.#executor.run(statement, load);
    const known = this.#told.additions();
    const { seen } = known instanceof Promise ? await known : known;
    if (!seen) return this.#executor.run(statement, load);
    try {
      return await this.#executor.run(noting, load);
    } catch (error) {
      if (!NO_COLUMN.test(sqlstateOf(error) ?? "")) throw error;
      this.#told.onMissing();
      return this.#executor.run(statement, load);
    }
  }

  /**
   * Finds out whether a first attempt without an answer was carried out, if the second one changed nothing. If so, the
   * row holds the bytes of this write, unless it was changed or has ended since.
   */
  async #look(
    { columns, whenLost }: Operation,
    items: readonly Item<Input>[],
    outputs: readonly (Row | undefined | Failed)[],
  ): Promise<(Row | undefined | Failed)[]> {
    const id = Math.max(columns.indexOf("new_token"), 0);
    const data = columns.indexOf("data");
    const sought = items.map((item): Item<string> => ({ ...item, input: item.input[id] ?? "" }));
    let open = sought.filter((_, index) => outputs[index] === undefined);
    const found = new Map<string, FoundRow | undefined | Failed>();
    let fence: Row = {};
    while (open.length > 0) {
      const answers = await this.#see(open, true, () => (fence = { fence: "true" }));
      for (const [index, { input }] of open.entries()) found.set(input, answers[index]);
      open = open.filter((_, index) => isRow(answers[index]) && answers[index].data === undefined);
    }
    return items.map(({ input }, index) => {
      if (outputs[index] !== undefined) return outputs[index];
      const answer = found.get(input[id] ?? "");
      if (answer instanceof Failed) return answer;
      const row = answer?.isEnded === true ? undefined : answer;
      if (row !== undefined && holds(this.#layout, row.data, input[data] ?? ""))
        return { token: input[id] ?? "", ...fence };
      // The row is gone, whether or not it ever held these bytes.
      if (whenLost === "repeat and look" && row === undefined) return undefined;
      return new Failed(
        new StoreUnavailableError("the connection was lost during a write, and its outcome is unknown"),
      );
    });
  }

  /** Asks which of the sessions that were found live are behind the fence. */
  async #behindFence(
    outputs: readonly (FoundRow | undefined | Failed | Company)[],
    items: readonly Item<string>[],
  ): Promise<ReadonlyMap<string, boolean> | undefined> {
    const live = items.filter((_, index) => isRow(outputs[index]) && !outputs[index].isEnded);
    return live.length > 0 ? this.#told.onFence([...new Set(live.map(idOf))]) : undefined;
  }

  /**
   * Turns a row into the result of a look-up. Undefined: it has to be read again, as its data was left out or it has ended since.
   *
   * @param behind - whether sessions are behind the fence, if there is one
   */
  #foundIn(
    row: FoundRow,
    behind: ReadonlyMap<string, boolean> | undefined,
    id: string,
  ): Exclude<Found, undefined> | Large<Found> | undefined {
    const { data, expiry, isEnded } = row;
    if (data === undefined) return undefined;
    if (isEnded) return reasonOf(this.#layout.decode(data));
    const isBehind = behind !== undefined && behind.get(id);
    if (isBehind !== false) return isBehind === true ? "revoked" : undefined;
    if (!(data.length > LARGE_CHARACTERS)) return { data: this.#layout.decode(data), expiry: new Date(expiry) };
    return new Large(data.length, () => {
      const bytes = this.#shared.get(row) ?? this.#layout.decode(data);
      this.#shared.set(row, bytes);
      return { data: bytes, expiry: new Date(expiry) };
    });
  }
}

/** Makes the `load` of operations, without those that are too old to be sent. @param values - makes the parameters */
function loadInTime<In>(
  items: readonly Item<In>[],
  values: (inTime: readonly Item<In>[]) => unknown[],
): Errand["load"] {
  return () => {
    const now = performance.now();
    let inTime = 0;
    let earliest = Number.POSITIVE_INFINITY;
    for (const { until } of items) {
      if (until <= now) continue;
      inTime++;
      if (until < earliest) earliest = until;
    }
    if (inTime === 0) return undefined;
    const left = inTime === items.length ? items : items.filter(({ until }) => until > now);
    return { values: values(left), until: earliest };
  };
}

function idOf(item: Item<string | Input> | undefined): string {
  const input = item?.input ?? "";
  return typeof input === "string" ? input : input[0];
}

/** Creates the error of an operation of a closed store. */
export function closed(): StoreUnavailableError {
  return new StoreUnavailableError("the store is closed");
}

function isRow<T extends Row | FoundRow>(output: T | undefined | Failed | Company): output is T {
  return output !== undefined && !(output instanceof Failed) && !(output instanceof Company);
}
