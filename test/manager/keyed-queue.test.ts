import { describe, expect, it } from "vitest";
import {
  MemoryStore,
  type OperationOptions,
  SessionManager,
  StoreOverloadedError,
  StoreUnavailableError,
} from "../../src/index.ts";
import { KeyedQueue } from "../../src/lib/manager/keyed-queue.ts";
import { GatedStore } from "../support/gated-store.ts";

/** Work that is done when it is told to. */
function held<T>(): {
  work: (before: T | undefined) => Promise<T>;
  begun: (T | undefined)[];
  done: (value: T) => void;
} {
  let done: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => (done = resolve));
  const begun: (T | undefined)[] = [];
  return { work: (before) => (begun.push(before), promise), begun, done };
}

describe("KeyedQueue", () => {
  it("does the work of a key in its order, one at a time, each with what the one before has left", async () => {
    const queue = new KeyedQueue<number>();
    const first = held<number>();
    const order: unknown[] = [];
    const one = queue.enter("key", first.work);
    const note = (n: number) => (before: number | undefined) => (order.push([n, before]), Promise.resolve(n));
    const fails = queue.enter("key", () => Promise.reject(new Error("expected by the test")));
    const rest = [2, 3].map((n) => queue.enter("key", note(n)));
    expect([first.begun, await queue.enter("other", note(9))]).toEqual([[undefined], 9]);
    first.done(1);
    await expect(fails).rejects.toThrow("expected by the test");
    expect([await one, ...(await Promise.all(rest))]).toEqual([1, 2, 3]);
    expect(order).toEqual([
      [9, undefined],
      [2, undefined],
      [3, 2],
    ]);
    expect(await queue.enter("key", note(4))).toBe(4);
    expect(order.at(-1)).toEqual([4, undefined]);
  });

  it("lets nobody wait longer than the timeout, and never begins what was given up", async () => {
    const queue = new KeyedQueue<number>(20);
    const first = held<number>();
    const one = queue.enter("key", first.work);
    const late = Array.from({ length: 3 }, () => held<number>());
    const outcomes = await Promise.allSettled(late.map(({ work }) => queue.enter("key", work)));
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ reason: expect.any(StoreUnavailableError) as unknown });
    first.done(1);
    expect(await one).toBe(1);
    expect(late.flatMap(({ begun }) => begun)).toEqual([]);
    expect(await queue.enter("key", async () => 2)).toBe(2);
  });

  it("counts a wait against the time of what waited, and only of that", async () => {
    const queue = new KeyedQueue<number>(40);
    const first = held<number>();
    const signals: (AbortSignal | undefined)[] = [];
    const one = queue.enter("key", (before) => first.work(before));
    const slow = queue.enter("key", (_before, signal) => {
      signals.push(signal);
      return new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      });
    });
    const quick = queue.enter("other", async (_before, signal) => (signals.push(signal), 2));
    first.done(1);
    expect([await one, await quick]).toEqual([1, 2]);
    await expect(slow).rejects.toThrow(StoreUnavailableError);
    await expect(slow).rejects.toThrow("too little of 40 ms");
    expect(signals).toEqual([undefined, expect.any(AbortSignal)]);
    // One that has ended in time hears no more.
    const again = held<number>();
    const before = queue.enter("key", again.work);
    const after = queue.enter("key", async (_before, signal) => (signals.push(signal), 3));
    again.done(1);
    expect([await before, await after]).toEqual([1, 3]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(signals[2]?.aborted).toBe(false);
  });

  it("goes on past one whose client is known to have gone as soon as it is asked", async () => {
    const queue = new KeyedQueue<number>();
    const first = held<number>();
    const one = queue.enter("key", first.work);
    const left = held<number>();
    const gone = () => (listener: () => void) => (listener(), () => {});
    await expect(queue.enter("key", left.work, gone)).rejects.toThrow(StoreUnavailableError);
    const next = queue.enter("key", async (before) => (before ?? 0) + 1);
    first.done(1);
    expect([await one, await next, left.begun]).toEqual([1, 2, []]);
  });

  it("takes 1,000 that wait, and those whose client goes make room", async () => {
    const queue = new KeyedQueue<number>();
    const first = held<number>();
    const one = queue.enter("key", first.work);
    const gone: (() => void)[] = [];
    let stopped = 0;
    const whenGone = () => (listener: () => void) => {
      gone.push(listener);
      return () => void stopped++;
    };
    const waiting = Array.from({ length: 1000 }, (_, n) => queue.enter("key", async () => n, whenGone));
    const outcomes = Promise.allSettled(waiting);
    await expect(queue.enter("key", async () => 0)).rejects.toThrow(StoreOverloadedError);
    gone[500]?.();
    const last = queue.enter("key", async () => -1);
    await expect(queue.enter("key", async () => 0)).rejects.toThrow(StoreOverloadedError);
    first.done(1);
    const settled = await outcomes;
    expect([await one, await last, stopped]).toEqual([1, -1, 1000]);
    expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(1);
    expect(settled[500]).toMatchObject({ reason: expect.any(StoreUnavailableError) as unknown });
  });
});

/** Begins a session with a counter, and tells how to count in it. */
async function counter(manager: SessionManager<{ n: number }>) {
  const begun = await manager.load();
  begun.set("n", 0);
  await manager.commit(begun);
  const add = async (): Promise<unknown> => {
    const session = await manager.load(begun.token);
    session.update("n", (n = 0) => n + 1);
    return manager.commit(session);
  };
  return { token: begun.token, add };
}

describe("the requests of one session", () => {
  it("leave the queue when their client goes; what they would have stored is not", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<{ n: number; m: number }>(store);
    const begun = await manager.load();
    begun.set("n", 0);
    await manager.commit(begun);
    const cookie = `session=${begun.token}`;
    const gone: (() => void)[] = [];
    const request = async (key: "n" | "m") => {
      const session = await manager.loadFrom({ cookie }, () => ({
        whenGone: (listener) => (gone.push(listener), () => {}),
      }));
      session.set(key, 1);
      return manager.commit(session);
    };
    const gate = store.hold();
    const first = request("n");
    await gate.arrived;
    const left = request("m").catch((error: unknown) => error);
    await expect.poll(() => gone.length).toBe(1);
    gone[0]?.();
    expect(await left).toBeInstanceOf(StoreUnavailableError);
    gate.release();
    await first;
    const after = await manager.load(begun.token);
    expect([after.get("n"), after.get("m")]).toEqual([1, undefined]);
  });

  it("hand what is left of their time to each operation of the store", async () => {
    const limited: string[] = [];
    class NotingStore extends GatedStore {
      override async replace(
        token: string,
        previous: Uint8Array,
        data: Uint8Array,
        expiry: Date,
        options?: OperationOptions,
      ): Promise<boolean> {
        if (options?.signal !== undefined) limited.push("replace");
        // As if another process had been faster, the first time.
        return limited.length !== 1 && super.replace(token, previous, data, expiry);
      }
      override async lookUp(token: string, options?: OperationOptions) {
        if (options?.signal !== undefined) limited.push("lookUp");
        return super.lookUp(token);
      }
    }
    const store = new NotingStore();
    const manager = new SessionManager<{ n: number }>(store);
    const { token, add } = await counter(manager);
    const gate = store.hold();
    const both = Promise.all([add(), add()]);
    await gate.arrived;
    gate.release();
    await both;
    expect(limited).toEqual(["replace", "lookUp", "replace"]);
    expect((await manager.load(token)).get("n")).toBe(2);
  });

  it("wait no longer than the store's queryTimeout for one another", async () => {
    const store = Object.assign(new GatedStore(), { queryTimeout: 20 });
    const manager = new SessionManager<{ n: number }>(store);
    const { token, add } = await counter(manager);
    const gate = store.hold();
    const first = add();
    await gate.arrived;
    for (const outcome of await Promise.allSettled([add(), add(), add()])) {
      expect(outcome).toMatchObject({ reason: { message: expect.stringMatching(/longer than 20 ms/) as unknown } });
    }
    gate.release();
    await first;
    expect((await manager.load(token)).get("n")).toBe(1);
    expect(new MemoryStore({ cleanupInterval: 0 })).not.toHaveProperty("queryTimeout");
  });
});
