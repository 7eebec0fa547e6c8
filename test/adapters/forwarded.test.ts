import { describe, expect, it } from "vitest";
import { forwardedFor, isForwardedSecure } from "../../src/lib/adapters/request.ts";

describe("what a proxy says", () => {
  it.each([
    ["203.0.113.1, 203.0.113.9", "203.0.113.9"],
    [["203.0.113.1", "203.0.113.9 "], "203.0.113.9"],
    ["203.0.113.1,", undefined],
    ["", undefined],
    [null, undefined],
    [undefined, undefined],
  ])("of the client's address %j is %j, as only the last one is the trusted proxy's", (header, address) => {
    expect(forwardedFor(header)).toBe(address);
  });

  it.each([
    ["https", true],
    ["http,\t HTTPS ", true],
    [["http", "https"], true],
    ["https, http", false],
    ["https,", false],
    ["http\u017f", false],
    ["https\u00a0", false],
    ["", false],
    [null, false],
    [undefined, false],
  ])("of the protocol %j is %j, by the same rule", (header, isSecure) => {
    expect(isForwardedSecure(header)).toBe(isSecure);
  });
});
