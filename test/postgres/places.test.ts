import { describe, expect, it } from "vitest";
import { loadUntil, type Row } from "../../src/lib/postgres/drivers/driver.ts";
import {
  Deadlines,
  lookedAtLate,
  placedDriver,
  Places,
  untilOverdue,
  upTo,
  WaitingLine,
} from "../../src/lib/postgres/drivers/places.ts";

const LONG = 3_600_000;

/** Lets time go by, so that the timers of before are due together. */
function block(milliseconds: number): void {
  const begun = performance.now();
  while (performance.now() - begun < milliseconds);
}

describe("Deadlines", () => {
  it("keep the process alive while they watch something, and only then", () => {
    // Timers that keep it alive. Nothing else can change their number before this function returns.
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    const deadlines = new Deadlines();
    const [one, other] = [LONG, 2 * LONG].map((timeout) => ({ end: performance.now() + timeout, expire: () => {} }));
    const counts = [];
    for (const limited of [one, other]) {
      if (limited === undefined) expect.unreachable();
      deadlines.add(limited);
      counts.push(timers() - before);
      deadlines.remove(limited);
      counts.push(timers() - before);
    }
    // One that gets a place is not watched any more.
    const line = new WaitingLine<string>();
    line.add(
      LONG,
      () => true,
      () => expect.unreachable(),
    );
    counts.push(timers() - before);
    line.serve("one");
    counts.push(timers() - before);
    expect(counts).toEqual([1, 0, 1, 0, 1, 0]);
  });

  it("tell once of each that is overdue", async () => {
    const deadlines = new Deadlines();
    const told: string[] = [];
    const watch = (name: string): Promise<void> =>
      new Promise((resolve) => {
        deadlines.add({ end: performance.now() + 1, expire: () => (told.push(name), resolve()) });
      });
    const together = [watch("a"), watch("b")];
    block(5);
    await Promise.all(together);
    await watch("c");
    await watch("d");
    expect(told).toEqual(["a", "b", "c", "d"]);
  });
});

describe("WaitingLine", () => {
  it("fails each statement when its own time is over, whoever came first", async () => {
    const line = new WaitingLine<string>();
    const wait = (timeout: number): Promise<unknown> =>
      new Promise((resolve) => line.add(timeout, () => expect.unreachable(), resolve));
    void wait(LONG);
    await Promise.all([40, 5, 20].map(wait));
    expect(line.length).toBe(1);
    // Also when its timer has fired for the last time before.
    await wait(1);
    expect(line.length).toBe(1);
  });

  it("takes nothing from the line for one that gets a place in the moment in which its time is over", async () => {
    const line = new WaitingLine<string>();
    const told: string[] = [];
    const tell = (text: string) => (place: unknown) => told.push(`${text} ${String(place)}`) > 0;
    await new Promise<void>((resolve) => {
      // What fails first gives its place to the next one.
      line.add(1, tell("a has"), () => {
        line.serve("a's place");
        setImmediate(resolve);
      });
      line.add(1, tell("b has"), tell("b failed:"));
      line.add(LONG, tell("c has"), tell("c failed:"));
      block(5);
    });
    expect(line.serve("another")).toBe(true);
    expect(told).toEqual(["b has a's place", "c has another"]);
  });

  it("gives a place to the first that is not too old, and fails those before", () => {
    const line = new WaitingLine<string>();
    const told: string[] = [];
    for (const [name, isYoung] of [
      ["a", false],
      ["b", true],
      ["c", true],
    ] as const) {
      const use = (place: string): boolean => {
        if (isYoung) told.push(`${name} has ${place}`);
        return isYoung;
      };
      line.add(LONG, use, (error) => told.push(`${name}: ${String(error)}`));
    }
    expect(line.serve("one")).toBe(true);
    expect(told).toEqual([expect.stringContaining("a: StoreUnavailableError"), "b has one"]);
    line.fail("gone");
    expect(told.at(-1)).toBe("c: gone");
    expect(line.serve("two")).toBe(false);
    line.fail("nobody is there");
    expect(told).toHaveLength(3);
  });
});

describe("Places", () => {
  /** Statements that are answered by hand. */
  function client() {
    const sent: { value: unknown; answer: (rows: Row[]) => void; fail: (error: unknown) => void }[] = [];
    const send = ({ values }: { values: unknown[] }): Promise<Row[]> =>
      new Promise((answer, fail) => sent.push({ value: values[0], answer, fail }));
    return { sent, send };
  }
  const errand = (value: string, until = Number.POSITIVE_INFINITY) => ({ text: "", load: loadUntil([value], until) });

  it("of a single connection: a statement is sent when the one before has been answered, or has failed", async () => {
    const places = new Places(upTo(1));
    const { sent, send } = client();
    const [a, b, c] = ["a", "b", "c"].map((value) => places.run(errand(value), LONG, send));
    expect(sent.map(({ value }) => value)).toEqual(["a"]);
    sent[0]?.answer([{ n: "1" }]);
    expect(await a).toEqual([{ n: "1" }]);
    await expect.poll(() => sent.length).toBe(2);
    sent[1]?.fail(new Error("broken"));
    await expect(b).rejects.toThrow("broken");
    await expect.poll(() => sent.length).toBe(3);
    sent[2]?.answer([]);
    expect(await c).toEqual([]);
  });

  it("until so many are overdue: any number goes, and none while that many have no answer in time", async () => {
    const many = client();
    const roomy = new Places(untilOverdue(2));
    for (const value of ["a", "b", "c", "d"]) void roomy.run(errand(value), LONG, many.send);
    expect(many.sent).toHaveLength(4);
    const places = new Places(untilOverdue(2));
    const { sent, send } = client();
    for (const value of ["a", "b"]) places.run(errand(value), 5, send).catch(() => {});
    block(10);
    const late = places.run(errand("c"), LONG, send);
    expect(sent).toHaveLength(2);
    // One that is overdue still is not enough to keep it.
    sent[0]?.answer([]);
    await expect.poll(() => sent.length).toBe(3);
    sent[2]?.answer([{ n: "3" }]);
    expect(await late).toEqual([{ n: "3" }]);
  });

  it("send nothing that has become too old while it waited", async () => {
    const places = new Places(upTo(1));
    const { sent, send } = client();
    const first = places.run(errand("a"), LONG, send);
    const old = places.run(errand("b", performance.now()), LONG, send);
    const young = places.run(errand("c"), LONG, send);
    sent[0]?.answer([]);
    await first;
    await expect(old).rejects.toThrow(/did not answer|in time|ms/);
    await expect.poll(() => sent.map(({ value }) => value)).toEqual(["a", "c"]);
    sent[1]?.answer([]);
    await young;
  });
});

describe("placedDriver", () => {
  it("shares the places of a client with its other drivers", async () => {
    const [client, other] = [{}, {}];
    const sent: string[] = [];
    const answers: (() => void)[] = [];
    const of = (one: object) =>
      placedDriver(one, upTo(1), async ({ text }) => {
        sent.push(text);
        await new Promise<void>((resolve) => answers.push(resolve));
        return [];
      });
    const errand = (text: string) => ({ text, load: loadUntil([], Number.POSITIVE_INFINITY) });
    const first = of(client).run(errand("first"), LONG);
    const second = of(client).run(errand("second"), LONG);
    const third = of(other).run(errand("third"), LONG);
    expect(sent).toEqual(["first", "third"]);
    for (const answer of answers.splice(0)) answer();
    await Promise.all([first, third]);
    await expect.poll(() => sent).toEqual(["first", "third", "second"]);
    answers[0]?.();
    await second;
  });
});

describe("lookedAtLate", () => {
  it("looks once more at what is sent late, at all parameters together", () => {
    const now = performance.now();
    let asked = 0;
    const later = { values: ["c", "d"], until: now + LONG };
    const errand = { text: "", load: () => (asked++, later) };
    const fresh = lookedAtLate(errand, { values: ["a", "b"], until: now + LONG }, 100);
    expect(fresh.map((value) => value())).toEqual(["a", "b"]);
    expect(asked).toBe(0);
    const late = lookedAtLate(errand, { values: ["a", "b"], until: now }, 100);
    expect(late.map((value) => value())).toEqual(["c", "d"]);
    expect(asked).toBe(1);
    const [first] = lookedAtLate({ text: "", load: () => undefined }, { values: ["a"], until: now }, 100);
    expect(first).toThrow(/100 ms/);
  });
});
