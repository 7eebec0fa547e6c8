import * as crypto from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { csrfTokenOf, isCsrfTokenOf } from "../../src/lib/http/csrf-token.ts";
import { createToken } from "../../src/lib/core/token.ts";

vi.mock("node:crypto", async (original) => {
  const actual = await original<typeof crypto>();
  return { ...actual, timingSafeEqual: vi.fn(actual.timingSafeEqual) };
});

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

describe("isCsrfTokenOf", () => {
  it("compares in constant time, and decides by nothing else", () => {
    const compare = vi.mocked(crypto.timingSafeEqual);
    const token = createToken();
    const made = csrfTokenOf(token);
    compare.mockClear();
    expect(isCsrfTokenOf(token, made)).toBe(true);
    expect(isCsrfTokenOf(createToken(), made)).toBe(false);
    expect(compare).toHaveBeenCalledTimes(2);
    for (const [one, other] of compare.mock.calls) expect([one.byteLength, other.byteLength]).toEqual([32, 32]);
    compare.mockReturnValueOnce(true);
    expect(isCsrfTokenOf(createToken(), made)).toBe(true);
  });

  it("takes no text that differs in a single character, the last one's spare bits included", () => {
    const token = createToken();
    const made = csrfTokenOf(token);
    for (let at = 0; at < made.length; at++) {
      for (const character of ALPHABET) {
        const changed = made.slice(0, at) + character + made.slice(at + 1);
        expect(isCsrfTokenOf(token, changed), `${at} ${character}`).toBe(changed === made);
      }
    }
  });

  it("is under a fresh mask each time: no character is the same in all texts", () => {
    const token = createToken();
    const texts = Array.from({ length: 200 }, () => csrfTokenOf(token));
    for (let at = 0; at < 85; at++) expect(new Set(texts.map((text) => text[at])).size, `${at}`).toBeGreaterThan(10);
  });
});
