import { describe, expect, it } from "vitest";
import { createToken, idOf, isToken } from "../../src/lib/core/token.ts";

describe("createToken", () => {
  it("makes 43 characters of base64url, never twice, evenly spread", () => {
    const count = 20_000;
    const tokens = Array.from({ length: count }, () => createToken());
    expect(new Set(tokens).size).toBe(count);
    expect(tokens.every(isToken)).toBe(true);
    // The last character holds 4 bits, the others 6: 64 values, count / 64 of each, within 6 standard deviations.
    for (let position = 0; position < 42; position++) {
      const seen = new Map<string, number>();
      for (const token of tokens) seen.set(token.charAt(position), (seen.get(token.charAt(position)) ?? 0) + 1);
      expect(seen.size).toBe(64);
      for (const n of seen.values()) expect(Math.abs(n - count / 64)).toBeLessThan(6 * Math.sqrt(count / 64));
    }
  });

  it("throws when the random source does: there is no other", () => {
    const failing = (): Buffer => {
      throw new Error("no entropy");
    };
    expect(() => createToken(failing)).toThrow("no entropy");
  });
});

describe("idOf", () => {
  it("is the SHA-256 of the token's characters, as SCS v2 stores it", () => {
    expect(idOf("")).toBe("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
    expect(isToken(idOf(createToken()))).toBe(true);
  });
});
