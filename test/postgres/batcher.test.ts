import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type BatchLimits, Company } from "../../src/lib/postgres/execution/batch.ts";
import { Batcher } from "../../src/lib/postgres/execution/batcher.ts";

const TIMEOUT = 1000;

/** A batcher whose batches are answered when the test says so; each answer is the input. */
function setup(limits: Partial<BatchLimits> = {}) {
  const sent: string[][] = [];
  const answers: (() => void)[] = [];
  const batcher = new Batcher<string, string>(
    { rows: 256, statements: 1, waiting: 100, ...limits },
    TIMEOUT,
    (items) => {
      const inputs = items.map(({ input }) => input);
      sent.push(inputs);
      return new Promise((resolve) => answers.push(() => resolve(inputs)));
    },
    "find",
  );
  const submit = (input: string, signal?: AbortSignal, key: string = input) => batcher.submit(key, input, 1, signal);
  /** Answers the oldest batch that is under way, and lets everybody hear of it. */
  const answer = async (): Promise<void> => {
    answers.shift()?.();
    await new Promise(setImmediate);
    // Those that hear of it go on, and leave at the end of that turn.
    await new Promise(setImmediate);
  };
  return { batcher, sent, submit, answer };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

describe("an operation that is cancelled while it waits", () => {
  it("makes room for another", async () => {
    const { submit, answer, sent } = setup({ waiting: 1 });
    const controller = new AbortController();
    const first = submit("first");
    const cancelled = expect(submit("cancelled", controller.signal)).rejects.toThrow("enough");
    await expect(submit("too much")).rejects.toMatchObject({ code: "STORE_OVERLOADED" });
    controller.abort(new Error("enough"));
    await cancelled;
    const second = submit("second");
    await answer();
    await answer();
    expect(await Promise.all([first, second])).toEqual(["first", "second"]);
    expect(sent).toEqual([["first"], ["second"]]);
  });

  it("lets the next one of its key go", async () => {
    const { submit, answer, sent } = setup();
    const controller = new AbortController();
    const first = submit("first");
    const cancelled = expect(submit("cancelled", controller.signal, "key")).rejects.toThrow("enough");
    const next = submit("next", undefined, "key");
    controller.abort(new Error("enough"));
    await cancelled;
    await answer();
    await answer();
    expect(await Promise.all([first, next])).toEqual(["first", "next"]);
    expect(sent).toEqual([["first"], ["next"]]);
  });

  it("behind another of its key never leaves", async () => {
    const { submit, answer, sent, batcher } = setup();
    const controller = new AbortController();
    const first = submit("first", undefined, "key");
    const cancelled = expect(submit("cancelled", controller.signal, "key")).rejects.toThrow("enough");
    const last = submit("last", undefined, "key");
    controller.abort(new Error("enough"));
    await cancelled;
    await answer();
    await answer();
    expect(await Promise.all([first, last])).toEqual(["first", "last"]);
    expect(sent).toEqual([["first"], ["last"]]);
    await batcher.idle();
  });
});

describe("an operation that is cancelled when it has left", () => {
  it("neither counts as waiting nor makes room", async () => {
    const { submit, answer } = setup({ waiting: 1 });
    const controller = new AbortController();
    const cancelled = expect(submit("cancelled", controller.signal)).rejects.toThrow("enough");
    controller.abort(new Error("enough"));
    await cancelled;
    const waiting = submit("waiting");
    await expect(submit("too much")).rejects.toMatchObject({ code: "STORE_OVERLOADED" });
    await answer();
    await answer();
    expect(await waiting).toBe("waiting");
  });

  it("keeps the next one of its key back until the answer is there", async () => {
    const { submit, answer, sent } = setup({ statements: 3 });
    const controller = new AbortController();
    const cancelled = expect(submit("cancelled", controller.signal, "key")).rejects.toThrow("enough");
    controller.abort(new Error("enough"));
    await cancelled;
    const next = submit("next", undefined, "key");
    await vi.advanceTimersByTimeAsync(TIMEOUT / 2);
    expect(sent).toEqual([["cancelled"]]);
    await answer();
    await answer();
    expect(await next).toBe("next");
  });
});

describe("a signal", () => {
  it("keeps no listener, whatever the operation came to", async () => {
    const { submit, answer } = setup();
    const { signal } = new AbortController();
    const done = submit("done", signal);
    const late = expect(submit("late", signal)).rejects.toThrow("did not answer");
    expect(getEventListeners(signal, "abort")).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(TIMEOUT - 1);
    await answer();
    await done;
    await vi.advanceTimersByTimeAsync(1);
    await late;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("the time limit", () => {
  it("holds for what has left as well, each at its own time", async () => {
    const { submit, sent } = setup({ statements: 2 });
    const settled: string[] = [];
    const noted = (name: string) => submit(name).catch(() => settled.push(name));
    void noted("first");
    await vi.advanceTimersByTimeAsync(TIMEOUT / 2);
    void noted("second");
    expect(settled).toEqual([]);
    await vi.advanceTimersByTimeAsync(TIMEOUT / 2);
    expect(settled).toEqual(["first"]);
    await vi.advanceTimersByTimeAsync(TIMEOUT / 2);
    expect(settled).toEqual(["first", "second"]);
    expect(sent).toEqual([["first"], ["second"]]);
  });

  it("sends nothing whose time is nearly over", async () => {
    const { submit, answer, sent } = setup();
    const first = submit("first");
    const late = expect(submit("late")).rejects.toThrow("did not answer within 1000 ms");
    await vi.advanceTimersByTimeAsync(TIMEOUT - 5);
    const fresh = submit("fresh");
    await answer();
    await late;
    expect(sent).toEqual([["first"], ["fresh"]]);
    await answer();
    expect(await Promise.all([first, fresh])).toEqual(["first", "fresh"]);
  });
});

describe("an operation that waited behind another of its key", () => {
  it("is not sent behind younger ones when its time is nearly over", async () => {
    const { submit, answer, sent } = setup();
    const first = submit("first", undefined, "key").catch(() => "late");
    const old = expect(submit("old", undefined, "key")).rejects.toThrow("did not answer within 1000 ms");
    await vi.advanceTimersByTimeAsync(TIMEOUT - 10);
    const young = submit("young");
    await answer();
    expect(sent).toEqual([["first"], ["young"]]);
    await answer();
    await vi.advanceTimersByTimeAsync(10);
    await old;
    expect(await Promise.all([first, young])).toEqual(["first", "young"]);
    expect(sent).toHaveLength(2);
  });
});

describe("an operation that is to be sent again", () => {
  it("goes behind those that wait, in its company, and keeps its place among those of its key", async () => {
    const sent: string[][] = [];
    const gates: (() => void)[] = [];
    const company = new Company();
    const batcher = new Batcher<string, string>(
      { rows: 256, statements: 1, waiting: 100 },
      TIMEOUT,
      (items) => {
        const inputs = items.map(({ input }) => input);
        sent.push(inputs);
        const again = inputs.includes("again") && inputs.length > 1;
        return new Promise((resolve) =>
          gates.push(() => resolve(inputs.map((input) => (again && input !== "fine" ? company : input)))),
        );
      },
      "save",
    );
    const submit = (input: string, key = input) => batcher.submit(key, input, 1);
    const next = async (): Promise<void> => {
      gates.shift()?.();
      await new Promise(setImmediate);
    };
    const all = [submit("first"), submit("again"), submit("too"), submit("fine"), submit("later", "again")];
    await next();
    expect(sent).toEqual([["first"], ["again", "too", "fine"]]);
    for (const one of all) one.catch(() => {});
    all.push(submit("behind"));
    await next();
    expect(sent[2]).toEqual(["behind"]);
    await next();
    // It is too many for this batcher once more, and has the same company.
    expect(sent[3]).toEqual(["again", "too"]);
    expect(await all[3]).toBe("fine");
    await vi.advanceTimersByTimeAsync(TIMEOUT);
    for (const one of [all[1], all[2], all[4]]) await expect(one).rejects.toThrow("did not answer");
    await next();
    await batcher.idle();
    expect(await Promise.all([all[0], all[3], all[5]])).toEqual(["first", "fine", "behind"]);
    expect(sent).toHaveLength(4);
  });
});

describe("the time that a batch has", () => {
  it("is that of its youngest, though one that is older became ready later", async () => {
    const lefts: number[] = [];
    const answers: (() => void)[] = [];
    const run = (items: { input: string }[], left: number) => {
      lefts.push(left);
      return new Promise<string[]>((resolve) => answers.push(() => resolve(items.map(({ input }) => input))));
    };
    const batcher = new Batcher<string, string>({ rows: 256, statements: 1, waiting: 100 }, TIMEOUT, run, "find");
    const all = [batcher.submit("key", "first", 1), batcher.submit("key", "old", 1)];
    await vi.advanceTimersByTimeAsync(500);
    all.push(batcher.submit("other", "young", 1));
    for (let n = 0; n < 2; n++) {
      answers[n]?.();
      await new Promise(setImmediate);
    }
    await Promise.all(all);
    expect(lefts).toEqual([TIMEOUT, TIMEOUT]);
  });
});

describe("operations that wait for a statement before them", () => {
  it("wait no longer than a tenth of a second", async () => {
    const { submit, answer, sent } = setup({ statements: 2 });
    const all = ["stuck", "one", "two"].map((input) => submit(input));
    await vi.advanceTimersByTimeAsync(99);
    expect(sent).toEqual([["stuck"]]);
    await vi.advanceTimersByTimeAsync(1);
    expect(sent).toEqual([["stuck"], ["one", "two"]]);
    await answer();
    await answer();
    expect(await Promise.all(all)).toEqual(["stuck", "one", "two"]);
  });

  it("are not hurried by the patience of others that have left", async () => {
    const { submit, answer, sent } = setup({ statements: 2 });
    const [first, second] = [submit("first"), submit("second")];
    await vi.advanceTimersByTimeAsync(90);
    await answer();
    const third = submit("third");
    await vi.advanceTimersByTimeAsync(10);
    expect(sent).toEqual([["first"], ["second"]]);
    await answer();
    await answer();
    expect(await Promise.all([first, second, third])).toEqual(["first", "second", "third"]);
  });
});

describe("those who hear of their answers at once and go on", () => {
  it("stay together", async () => {
    const { submit, answer, sent, batcher } = setup();
    const worker = async (name: number): Promise<void> => {
      for (let round = 0; round < 4; round++) await submit(`${name} ${round}`);
    };
    const workers = Promise.all(Array.from({ length: 8 }, (_, name) => worker(name)));
    for (let n = 0; n < 5; n++) await answer();
    await workers;
    expect(sent.map((batch) => batch.length)).toEqual([1, 7, 8, 8, 8]);
    await batcher.idle();
  });
});

describe("idle", () => {
  it("resolves when the last operation was cancelled, and its batch answered", async () => {
    const { submit, answer, batcher } = setup();
    const controller = new AbortController();
    const first = submit("first");
    const cancelled = expect(submit("cancelled", controller.signal)).rejects.toThrow("enough");
    let idle = false;
    const waiting = batcher.idle().then(() => (idle = true));
    controller.abort(new Error("enough"));
    await cancelled;
    expect(idle).toBe(false);
    await answer();
    expect(await first).toBe("first");
    await waiting;
  });

  it("waits for those that leave at the end of the turn", async () => {
    const { submit, answer, batcher } = setup();
    const order: string[] = [];
    const noted = (name: string): Promise<unknown> => submit(name).then((output) => order.push(output));
    const all = [noted("first"), noted("second"), noted("third")];
    await answer();
    all.push(noted("fourth"));
    const idle = batcher.idle().then(() => order.push("idle"));
    for (let n = 0; n < 2; n++) await answer();
    await Promise.all([...all, idle]);
    expect(order).toEqual(["first", "second", "third", "fourth", "idle"]);
  });
});

describe("an operation of a key among very many others", () => {
  it("still waits for the one before", async () => {
    const { submit, answer, sent } = setup({ rows: 16, statements: 100, waiting: 2000 });
    const all = [submit("before", undefined, "key"), ...Array.from({ length: 1022 }, (_, n) => submit(`${n}`))];
    // The 1024th, for which the map of keys is copied. It would leave with those that wait now, as they are enough.
    all.push(submit("after", undefined, "key"), submit("one more"), submit("another"));
    await new Promise(setImmediate);
    expect(sent.flat()).toContain("one more");
    expect(sent.flat()).not.toContain("after");
    while (!sent.flat().includes("after")) await answer();
    for (let count = sent.length; count > 0; count--) await answer();
    await Promise.all(all);
  });
});

describe("an operation that failed in a statement that still waits to be sent", () => {
  it("is too old for it, and is not sent again", async () => {
    const given: { input: string; until: number }[][] = [];
    const answers: (() => void)[] = [];
    const batcher = new Batcher<string, string>(
      { rows: 256, statements: 1, waiting: 100 },
      TIMEOUT,
      (items) => {
        given.push(items);
        return new Promise((resolve) =>
          answers.push(() => resolve(items.map(({ input }) => (input === "again" ? new Company() : input)))),
        );
      },
      "save",
    );
    const controller = new AbortController();
    const failed = expect(batcher.submit("again", "again", 1, controller.signal)).rejects.toThrow("enough");
    controller.abort(new Error("enough"));
    await failed;
    expect(given[0]?.map(({ until }) => until)).toEqual([Number.NEGATIVE_INFINITY]);
    // Younger ones keep their own time limits.
    const late = [expect(batcher.submit("a", "a", 1)).rejects.toThrow("did not answer")];
    answers.shift()?.();
    await new Promise(setImmediate);
    late.push(expect(batcher.submit("b", "b", 1)).rejects.toThrow("did not answer"));
    await vi.advanceTimersByTimeAsync(TIMEOUT);
    await Promise.all(late);
    answers.shift()?.();
    await batcher.idle();
    expect(given.map((items) => items.map(({ input }) => input))).toEqual([["again"], ["a"]]);
  });
});
