import { describe, expect, it } from "vitest";
import { MemoryStore, SessionManager } from "../../src/index.ts";
import { createToken } from "../../src/lib/core/token.ts";
import { seeded } from "../support/random.ts";

const COUNT = 100_000;
const LENGTH = 43;
const ALPHABET = new Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

/** What a token looks like, without the pattern that is tested. */
const isWellFormed = (text: string): boolean =>
  text.length === LENGTH && text.split("").every((one) => ALPHABET.has(one));

/** A manager, and how often its store was asked for anything at all. */
function counting() {
  const seen = { calls: 0 };
  const store = new Proxy(new MemoryStore({ cleanupInterval: 0 }), {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        seen.calls++;
        return Reflect.apply(member, target, args);
      };
    },
  });
  return { seen, manager: new SessionManager(store) };
}

/** Loads each, and says which reached the store, threw, or was taken for a session. */
async function wrongly(texts: Iterable<string>): Promise<string[]> {
  const { seen, manager } = counting();
  const wrong: string[] = [];
  for (const text of texts) {
    const before = seen.calls;
    try {
      const { status } = await manager.load(text);
      if (seen.calls !== before || status !== "new") wrong.push(text);
    } catch {
      wrong.push(text);
    }
  }
  return wrong;
}

describe("SessionManager.load, of what is no token", () => {
  it("asks the store for a well-formed one, and never for any of 100,000 strings of random bytes", async () => {
    const { seen, manager } = counting();
    await manager.load(createToken());
    expect(seen.calls).toBeGreaterThan(0);
    const random = seeded(39);
    const texts: string[] = [];
    while (texts.length < COUNT) {
      // Most are about as long as a token, each fourth is exactly so.
      const length = texts.length % 4 === 0 ? LENGTH : Math.floor(random() * 90);
      const bytes = Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
      const text = bytes.toString(texts.length % 2 === 0 ? "latin1" : "utf8");
      if (!isWellFormed(text)) texts.push(text);
    }
    expect(await wrongly(texts)).toEqual([]);
  });

  it("never asks for a token in which a single character is another, too many or missing", async () => {
    const token = createToken();
    const strange = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
      .concat("Ａ", "а", "\u2028", "\ud800", "𝔸", "%00", "%41", "\r\n", "==")
      .filter((one) => !ALPHABET.has(one));
    const near = new Set<string>();
    for (let at = 0; at <= LENGTH; at++) {
      for (const one of strange) {
        near.add(token.slice(0, at) + one + token.slice(at));
        if (at < LENGTH) near.add(token.slice(0, at) + one + token.slice(at + 1));
      }
      for (const one of ALPHABET) near.add(token.slice(0, at) + one + token.slice(at));
      if (at < LENGTH) near.add(token.slice(0, at) + token.slice(at + 1));
    }
    const bytes = Buffer.from(token, "base64url");
    const others = [
      `${token}=`,
      `"${token}"`,
      encodeURIComponent(`${token}=`),
      Array.from(token, (one) => `%${one.charCodeAt(0).toString(16)}`).join(""),
      bytes.toString("hex"),
      bytes.toString("latin1"),
      bytes.toString("base64"),
      `session=${token}`,
      token.repeat(200),
    ];
    expect([...near, ...others].filter(isWellFormed)).toEqual([]);
    expect(near.size).toBeGreaterThan(15_000);
    expect(await wrongly([...near, ...others])).toEqual([]);
  });
});
