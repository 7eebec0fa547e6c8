import { describe, expect, it } from "vitest";
import { bytes, counted, rate } from "../../src/lib/core/format-number.ts";

describe("rate", () => {
  it("has three digits or so", () => {
    expect([rate(0), rate(1.2345), rate(99.96), rate(123.6), rate(1_234_567)]).toEqual([
      "0",
      "1.23",
      "100",
      "124",
      "1,234,567",
    ]);
  });
});

describe("counted", () => {
  it("agrees with the number", () => {
    expect([counted(1, "row"), counted(2000, "row")]).toEqual(["1 row", "2,000 rows"]);
  });
});

describe("bytes", () => {
  it("chooses the unit", () => {
    expect([bytes(0), bytes(1), bytes(1536), bytes(5 * 1024 ** 3), bytes(2 ** 60)]).toEqual([
      "0 bytes",
      "1 byte",
      "1.5 kB",
      "5 GB",
      "1,048,576 TB",
    ]);
  });
});
