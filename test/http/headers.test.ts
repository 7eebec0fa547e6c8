import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addVary,
  forbidsStoring,
  isTargetedCacheHeader,
  lowerAscii,
  trimBlanks,
  withNoStore,
} from "../../src/lib/http/headers.ts";

const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      " ",
      "\t",
      "\u00a0",
      "\u2003",
      "\u3000",
      "\ufeff",
      "\n",
      "\u000b",
      "\u212a",
      "\u017f",
      "\u0130",
      "K",
      "k",
    ),
    fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  ),
  maxLength: 12,
});

describe("trimBlanks", () => {
  it("removes spaces and tabs from both ends, and no other character, whatever the text", () => {
    fc.assert(fc.property(anyText, (text) => trimBlanks(text) === text.replaceAll(/^[ \t]+|[ \t]+$/g, "")));
  });
});

describe("lowerAscii", () => {
  it("lowers A to Z and no other character, whatever the text", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const expected = Array.from(text, (one) => (one >= "A" && one <= "Z" ? one.toLowerCase() : one)).join("");
        return lowerAscii(text) === expected;
      }),
    );
  });
});

describe("withNoStore", () => {
  it("adds no-store and drops what speaks for storing", () => {
    expect(withNoStore(null)).toBe("private, no-store");
    expect(withNoStore("")).toBe("private, no-store");
    expect(withNoStore("public, max-age=60, s-maxage = 5, immutable, stale-while-revalidate=1")).toBe(
      "private, no-store",
    );
    expect(withNoStore("private, no-cache, must-revalidate")).toBe("no-cache, must-revalidate, private, no-store");
    expect(withNoStore("NO-STORE, private")).toBe("private, no-store");
    expect(withNoStore("must-understand, no-store")).toBe("private, no-store");
  });
});

describe("isTargetedCacheHeader", () => {
  it("knows those of any vendor", () => {
    const names = [
      "CDN-Cache-Control",
      "cloudflare-cdn-cache-control",
      "X-LiteSpeed-Cache-Control",
      "Surrogate-Control",
    ];
    for (const name of [...names, "Edge-Control", "X-Accel-Expires"])
      expect(isTargetedCacheHeader(name), name).toBe(true);
    for (const name of ["Cache-Control", "Surrogate-Key", "X-Accel-Buffering"])
      expect(isTargetedCacheHeader(name), name).toBe(false);
  });
});

describe("forbidsStoring", () => {
  it("wants no-store, or 0 seconds, and nothing to the contrary", () => {
    for (const value of ["no-store", "private, NO-STORE", " 0 "]) expect(forbidsStoring(value), value).toBe(true);
    for (const value of ["", "600", "max-age=600", "no-store, max-age=600", "no-store, cache-maxage=1d", "private"])
      expect(forbidsStoring(value), value).toBe(false);
  });
});

describe("addVary", () => {
  it("adds Cookie once", () => {
    for (const [before, after] of [
      [undefined, "Cookie"],
      ["Accept , COOKIE", "Accept, COOKIE"],
      ["Accept", "Accept, Cookie"],
      ["*", "*"],
    ]) {
      const headers = new Headers(before === undefined ? {} : { Vary: before });
      addVary(headers, "Cookie");
      expect(headers.get("Vary")).toBe(after);
    }
  });
});
