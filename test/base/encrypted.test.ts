import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DecodedSession, encrypted, type EncryptionKey, scsJson } from "../../src/codecs.ts";
import { idOf } from "../../src/lib/base/token.ts";

const ID = idOf("a token");
const KEYS = [
  { id: "2026", key: randomBytes(32) },
  { id: "2025", key: randomBytes(32) },
] as const;
const [NEW, OLD] = KEYS;
const codec = encrypted(scsJson, KEYS);

const session = (secret = "a secret"): DecodedSession => ({
  values: new Map([["name", secret]]),
  deadline: new Date("2030-01-01T00:00:00.123Z"),
});

/** Session ids, and values of every kind that a text or bytes may be made of. */
const anyId = fc.string({ minLength: 1, unit: "grapheme" });
const anySession = fc
  .dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.uint8Array(), fc.bigInt()))
  .map((values): DecodedSession => ({
    values: new Map(Object.entries(values)),
    deadline: new Date(1_900_000_000_000),
  }));

describe("encrypted", () => {
  it("gives back what it was given, for the same id", () => {
    fc.assert(
      fc.property(anySession, anyId, (given, id) => {
        const decoded = codec.decode(codec.encode(given, id), id);
        expect(decoded.values).toEqual(given.values);
        expect(decoded.deadline).toEqual(given.deadline);
      }),
    );
  });

  it("shows nothing of the values, and never writes the same bytes twice", () => {
    const written = Array.from({ length: 1000 }, () => Buffer.from(codec.encode(session(), ID)));
    for (const bytes of written) expect(bytes.includes("secret")).toBe(false);
    const nonces = written.map((bytes) => bytes.subarray(6, 18).toString("hex"));
    expect(new Set(nonces).size).toBe(1000);
    // The format, the key's id with its length, the nonce, the text, the tag.
    const text = scsJson.encode(session());
    expect(written[0]?.length).toBe(1 + 1 + NEW.id.length + 12 + text.length + 16);
    expect(written[0]?.subarray(0, 6).toString("latin1")).toBe("\u00e1\u00042026");
  });

  it("rejects every single bit that is flipped, and every truncation and addition", () => {
    const bytes = codec.encode(session(), ID);
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Uint8Array.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        expect(() => codec.decode(flipped, ID)).toThrow(Error);
      }
      expect(() => codec.decode(bytes.slice(0, at), ID)).toThrow(Error);
      expect(() => codec.decode(bytes.slice(at + 1), ID)).toThrow(Error);
    }
    expect(() => codec.decode(Buffer.concat([bytes, Uint8Array.of(0)]), ID)).toThrow(Error);
    expect(codec.decode(bytes, ID).values.get("name")).toBe("a secret");
  });

  it("rejects the data of another session, and bytes of another key of the same name", () => {
    const stranger = encrypted(scsJson, [{ id: NEW.id, key: randomBytes(32) }]);
    fc.assert(
      fc.property(anySession, anyId, anyId, (given, id, other) => {
        fc.pre(id !== other);
        const bytes = codec.encode(given, id);
        expect(() => codec.decode(bytes, other)).toThrow(Error);
        expect(() => stranger.decode(bytes, id)).toThrow(Error);
      }),
    );
  });

  it("rejects what was not encrypted, whatever it is", () => {
    fc.assert(
      fc.property(fc.oneof(anySession.map(scsJson.encode), fc.uint8Array({ maxLength: 100 })), (bytes) => {
        expect(() => codec.decode(bytes, ID)).toThrow(Error);
      }),
      { numRuns: 1000 },
    );
    expect(() => codec.decode(scsJson.encode(session()), ID)).toThrow("not encrypted");
  });

  it("reads with every key and writes with the first; an unknown key's id is rejected and named", () => {
    const before = encrypted(scsJson, [OLD]);
    const bytes = before.encode(session(), ID);
    const read = codec.decode(bytes, ID);
    expect(read.values.get("name")).toBe("a secret");
    const again = codec.encode(read, ID);
    expect(() => before.decode(again, ID)).toThrow("the key 2026, which is not among the keys");
    expect(encrypted(scsJson, [NEW]).decode(again, ID).values.get("name")).toBe("a secret");
    expect(() => encrypted(scsJson, [NEW]).decode(bytes, ID)).toThrow("the key 2025");
  });

  it("takes keys as bytes, hex and base64, and names those after themselves that have no id", () => {
    const bytes = randomBytes(32);
    const encodings: BufferEncoding[] = ["hex", "base64", "base64url"];
    const texts = encodings.map((encoding) => bytes.toString(encoding));
    const written = encrypted(scsJson, [Uint8Array.from(bytes)]).encode(session(), ID);
    for (const key of texts) expect(encrypted(scsJson, [key]).decode(written, ID).values.size).toBe(1);
    const [, length = 0] = written;
    const id = Buffer.from(written.subarray(2, 2 + length)).toString();
    expect(id).toMatch(/^[\w-]{8}$/);
    for (const key of texts) expect(key).not.toContain(id);
    expect(encrypted(scsJson, [{ id, key: bytes.toString("hex") }]).decode(written, ID).values.size).toBe(1);
  });

  it("keeps a copy of the keys, and shows none", () => {
    const key = randomBytes(32);
    const kept = Uint8Array.from(key);
    const changed = encrypted(scsJson, [{ id: "k", key }]);
    key.fill(0);
    const bytes = changed.encode(session(), ID);
    expect(encrypted(scsJson, [{ id: "k", key: kept }]).decode(bytes, ID).values.size).toBe(1);
    expect(inspect(changed, { depth: 10, showHidden: true })).not.toContain("Key");
  });

  it("binds to an id: without one it does nothing", () => {
    for (const id of [undefined, "", 1]) {
      expect(() => codec.encode(session(), id as string)).toThrow("id: an encrypted session needs its session's id");
    }
    expect(() => codec.decode(codec.encode(session(), ID), undefined as unknown as string)).toThrow("id: ");
  });

  it("passes the id on, and what the inner codec throws", () => {
    const ids: string[] = [];
    const inner = {
      encode: (text: string, id: string) => (ids.push(id), Buffer.from(text)),
      decode: (bytes: Uint8Array, id: string) => (ids.push(id), Buffer.from(bytes).toString()),
    };
    const outer = encrypted(encrypted(inner, [OLD]), [NEW]);
    expect(outer.decode(outer.encode("text", ID), ID)).toBe("text");
    expect(ids).toEqual([ID, ID]);
    expect(() => codec.encode({ ...session(), values: new Map([["k", Number.NaN]]) }, ID)).toThrow(TypeError);
  });

  const secret = "0123456789abcdef".repeat(4);
  it.each<[string, unknown, string]>([
    ["none", undefined, "keys: must be an array"],
    ["one that is no array", secret, "keys: must be an array"],
    ["an empty array", [], "keys: must have at least one key"],
    ["a short one", [randomBytes(32), { id: "b", key: randomBytes(31) }], "keys[1].key: must be 32 bytes"],
    ["a long one", [randomBytes(33)], "keys[0]: must be 32 bytes"],
    ["hex with a letter too many", [`${secret}g`], "keys[0]: must be 32 bytes"],
    ["base64 of 16 bytes", [{ id: "a", key: "AAECAwQFBgcICQoLDA0ODw==" }], "keys[0].key: must be 32 bytes"],
    ["a number", [1], "keys[0]: must be a key"],
    ["null", [null], "keys[0]: must be a key"],
    ["one without id", [{ key: secret }], "keys[0].id: must be"],
    ["an empty id", [{ id: "", key: secret }], "keys[0].id: must be"],
    ["an id that is not plain", [{ id: "a\n", key: secret }], "keys[0].id: must be"],
    ["a long id", [{ id: "a".repeat(65), key: secret }], "keys[0].id: must be"],
    [
      "one id twice",
      [
        { id: "a", key: secret },
        { id: "a", key: randomBytes(32) },
      ],
      "keys[1].id: another key has the same",
    ],
    ["one key twice", [secret, secret], "keys[1].id: another key has the same"],
  ])("refuses keys at construction, and shows nothing of them: %s", (_, keys, message) => {
    const attempt = (): unknown => encrypted(scsJson, keys as EncryptionKey[]);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(message);
    expect(attempt).not.toThrow(secret.slice(0, 16));
  });

  it("refuses what is no codec", () => {
    for (const wrong of [undefined, null, {}, { encode: () => {} }]) {
      expect(() => encrypted(wrong as unknown as typeof scsJson, [NEW])).toThrow("codec: must have the functions");
    }
  });
});
