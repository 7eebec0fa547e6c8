import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nameOf, partOf } from "../src/http/profile.ts";
import { parseCommand, SCENARIO_NAMES, UsageError } from "../src/options.ts";
import { median, medianInterval, percentile, ratios, spread } from "../src/stats.ts";
import { judge, type Target, verdictTable } from "../src/targets.ts";
import { markdownTable, numberText, plainTable, spreadText } from "../src/text.ts";

describe("parseCommand", () => {
  it("measures every scenario by default and writes nothing", () => {
    const everything = { name: "scenarios", extent: "default", scenarios: SCENARIO_NAMES, write: false };
    assert.deepEqual(parseCommand([]), everything);
    assert.deepEqual(parseCommand(["--quick"]), { ...everything, extent: "quick" });
    assert.deepEqual(parseCommand(["--full", "--write"]), { ...everything, extent: "full", write: true });
  });

  it("takes scenarios in the order in which they run", () => {
    const command = { name: "scenarios", extent: "quick", scenarios: ["store", "touch"], write: false };
    assert.deepEqual(parseCommand(["touch", "store", "--quick"]), command);
  });

  it("takes a measurement that runs alone, and how much of it", () => {
    assert.deepEqual(parseCommand(["races"]), { name: "races" });
    assert.deepEqual(parseCommand(["channels"]), { name: "channels" });
    assert.deepEqual(parseCommand(["millions"]), { name: "millions", count: 5_000_000 });
    assert.deepEqual(parseCommand(["timing", "1000"]), { name: "timing", count: 1000 });
    assert.deepEqual(parseCommand(["races", "--help"]), { name: "help" });
  });

  it("refuses what it does not know", () => {
    for (const args of [
      ["--fast"],
      ["extra"],
      ["stor"],
      [""],
      ["1000"],
      ["--quick", "--full"],
      ["--write=1"],
      ["--write", "http"],
      ["store", "races"],
      ["races", "store"],
      ["races", "10"],
      ["races", "--quick"],
      ["timing", "99"],
      ["millions", "1e6x"],
      ["timing", "1000", "1000"],
    ]) {
      assert.throws(() => parseCommand(args), UsageError, args.join(" "));
    }
    assert.throws(() => parseCommand(["stor"]), /no "stor"; there are store, http.*races/);
  });
});

describe("medianInterval", () => {
  it("has the median between its ends, and is narrower the more values there are", () => {
    const values = (count: number): number[] => Array.from({ length: count }, (_, n) => n / count);
    const [few, many] = [medianInterval(values(100)), medianInterval(values(10_000))];
    assert.deepEqual(few, [0.4, 0.6]);
    assert.deepEqual(many, [0.4902, 0.5098]);
    assert.throws(() => medianInterval([1, 2]), RangeError);
  });
});

describe("median", () => {
  it("is the middle, or halfway between the two in the middle", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([10, 4, 1, 2]), 3);
    assert.equal(median([7]), 7);
    assert.throws(() => median([]), RangeError);
  });
});

describe("percentile", () => {
  it("is a value that occurs, by nearest rank", () => {
    const values = Array.from({ length: 200 }, (_, n) => 200 - n);
    assert.equal(percentile(values, 0.99), 198);
    assert.equal(percentile(values, 1), 200);
    assert.equal(percentile([5], 0.5), 5);
    assert.throws(() => percentile([], 0.5), RangeError);
  });
});

describe("spread", () => {
  it("has the median and the range, and leaves the values as they are", () => {
    const values = [9, 1, 5];
    assert.deepEqual(spread(values), { median: 5, min: 1, max: 9 });
    assert.deepEqual(values, [9, 1, 5]);
  });
});

describe("ratios", () => {
  it("are taken round by round", () => {
    assert.deepEqual(ratios([10, 30], [5, 10]), [2, 3]);
    assert.throws(() => ratios([1], [1, 2]), RangeError);
  });
});

describe("judge", () => {
  const target = (limit: Target["limit"]): Target => ({ id: "x", what: "x", limit, value: 2 });
  const met = (limit: Target["limit"], values?: number[]): boolean | undefined =>
    judge([target(limit)], values === undefined ? {} : { x: values })[0]?.met;

  it("goes by the median, and the limit itself will do", () => {
    assert.equal(met("at least", [1, 2, 9]), true);
    assert.equal(met("at least", [1.99, 1.99, 9]), false);
    assert.equal(met("at most", [1, 2, 9]), true);
    assert.equal(met("at most", [1, 2.01, 2.01]), false);
  });

  it("says nothing of what was not measured", () => {
    assert.equal(met("at least"), undefined);
    assert.equal(met("at least", []), undefined);
    const [row] = verdictTable(judge([target("at most")], {})).rows;
    assert.deepEqual(row, ["x", "at most 2", "–", "not measured"]);
  });

  it("shows the unit", () => {
    const [row] = verdictTable(judge([{ ...target("at most"), unit: "ms" }], { x: [1, 3, 5] })).rows;
    assert.deepEqual(row, ["x", "at most 2 ms", "3 [1–5] ms", "missed"]);
  });
});

describe("tables", () => {
  const table = {
    title: "T",
    columns: ["peer", "n"],
    rows: [
      ["a|b", "1"],
      ["c", "1,000"],
    ],
  };

  it("are aligned in a terminal", () => {
    assert.equal(plainTable(table), "T\npeer      n\n----  -----\na|b       1\nc     1,000");
  });

  it("are Markdown, whatever is in a cell", () => {
    assert.equal(markdownTable(table), "| peer | n |\n| --- | --: |\n| a\\|b | 1 |\n| c | 1,000 |");
  });

  it("show three digits or so", () => {
    assert.deepEqual([12345.6, 123.4, 12.34, 1.234, 0.1234].map(numberText), [
      "12,346",
      "123",
      "12.3",
      "1.23",
      "0.123",
    ]);
    assert.equal(spreadText({ median: 2, min: 1, max: 3.5 }), "2 [1–3.5]");
    assert.equal(spreadText({ median: 2, min: 2, max: 2 }), "2");
  });
});

describe("a sample of a profile", () => {
  const frame = (functionName: string, url: string): { functionName: string; url: string } => ({ functionName, url });

  it("belongs to the part of its file, and to none while the processor is idle or profiles", () => {
    assert.equal(partOf(frame("load", "file:///x/dist/lib/manager/loader.js")), "manager and state");
    assert.equal(partOf(frame("parse", "file:///x/node_modules/pg-protocol/dist/parser.js")), "driver");
    assert.equal(partOf(frame("writev", "")), "Node");
    assert.equal(partOf(frame("(idle)", "")), undefined);
    assert.equal(partOf(frame("dispatch", "")), undefined);
  });

  it("is named by its function and file", () => {
    assert.equal(nameOf(frame("load", "file:///x/dist/lib/manager/loader.js")), "load manager/loader.js");
    assert.equal(nameOf(frame("", "file:///x/node_modules/pg/lib/query.js")), "(anonymous) pg/lib/query.js");
    assert.equal(nameOf(frame("get", "file:///x/bench/src/http/pgstore.ts")), "get pgstore.ts");
    assert.equal(nameOf(frame("emit", "node:events")), "emit node:events");
    assert.equal(nameOf(frame("writev", "")), "writev");
  });
});
