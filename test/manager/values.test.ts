import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { PGlite } from "@electric-sql/pglite";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MemoryStore, PgStore, SessionManager } from "../../src/index.ts";
import { scsJson } from "../../src/codecs.ts";
import type { StoredSession } from "../../src/lib/core/store.ts";
import { equalValues, type Value } from "../../src/lib/core/value.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";

const maxBytes = 1 << 24;
let database: TestDatabase;
let lite: PGlite;
const managers: Record<string, SessionManager> = {};
beforeAll(async () => {
  database = await createDatabase();
  lite = await openPglite();
  const embedded = new PgStore(lite, { cleanupInterval: 0 });
  await embedded.migrate();
  managers["PostgreSQL"] = new SessionManager(new PgStore(database.pool(), { cleanupInterval: 0 }), { maxBytes });
  managers["PGlite"] = new SessionManager(embedded, { maxBytes });
  managers["memory"] = new SessionManager(new MemoryStore({ cleanupInterval: 0 }), { maxBytes });
});
afterAll(async () => {
  await lite.close();
  await database.drop();
});

/** Stores values in a new session and loads them again. */
async function roundTrip(where: string, values: Iterable<[string, Value]>): Promise<Map<string, unknown>> {
  const manager = managers[where];
  if (manager === undefined) throw new Error(where);
  const session = await manager.load();
  for (const [key, value] of values) session.set(key, value);
  await manager.commit(session);
  const again = await manager.load(session.token);
  return new Map(again.keys().map((key) => [key, again.get(key)]));
}

const special: [string, Value][] = [
  ["lone surrogates \ud800 \udfff", "a\ud800b\udc00c"],
  ["NUL \0", "\0\u0001\u001f\u007f"],
  ["__proto__", { __proto__x: 1, constructor: "c", prototype: ["p"] }],
  ["nested __proto__", JSON.parse('{"__proto__":{"admin":true},"a":[{"__proto__":1}]}') as Value],
  ["constructor", "plain"],
  ["hasOwnProperty", 1],
  ["", "empty key"],
  ["zero", -0],
  ["numbers", [0, 1.5, 1e21, 5e-324, Number.MAX_VALUE, 2 ** 53, 1e20, -(2 ** 63)]],
  ["bigints", [0n, 1n, -1n, 2n ** 53n, 2n ** 63n, -(10n ** 40n)]],
  ["dates", [new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15), new Date("0001-01-01T00:00:00Z")]],
  ["bytes", [new Uint8Array(), new Uint8Array([0, 255])]],
  ["null", null],
  ["booleans", [true, false]],
  ["text that looks like types", ["2017-07-04T09:08:07Z", "aGVsbG8=", "9007199254740993"]],
  ["quotes", "\"'\\$1 ${x} </script>\u2028\u2029"],
];

for (const where of ["PostgreSQL", "PGlite", "memory"]) {
  describe(`values in ${where}`, () => {
    it("come back as what they were", async () => {
      const found = await roundTrip(where, special);
      expect(found.size).toBe(special.length);
      for (const [key, value] of special) expect(equalValues(found.get(key), value), key).toBe(true);
      expect(Object.is(found.get("zero"), -0)).toBe(true);
      expect(Object.getPrototypeOf(found.get("__proto__"))).toBe(Object.prototype);
      expect(({} as { admin?: unknown }).admin).toBe(undefined);
      expect((found.get("nested __proto__") as { admin?: unknown }).admin).toBe(undefined);
    });

    it("may be a megabyte, and ten thousand keys", async () => {
      const large = "x\u0000é\ud83d\ude00".repeat(1 << 18);
      expect((await roundTrip(where, [["large", large]])).get("large")).toBe(large);
      const bytes = Uint8Array.from({ length: 1 << 20 }, (_, index) => index % 251);
      expect(equalValues((await roundTrip(where, [["bytes", bytes]])).get("bytes"), bytes)).toBe(true);
      const many = Array.from({ length: 10_000 }, (_, n): [string, Value] => [`key ${n}`, n]);
      const found = await roundTrip(where, many);
      expect(found.size).toBe(10_000);
      expect(many.filter(([key, value]) => found.get(key) !== value)).toEqual([]);
    });

    it("are not read from a row that is longer than maxBytes, which stays", async () => {
      const { store } = managers[where] as SessionManager;
      const seen: unknown[] = [];
      const codec = {
        encode: scsJson.encode,
        decode: (bytes: Uint8Array) => (seen.push(bytes.length), scsJson.decode(bytes)),
      };
      const session = await new SessionManager(store).load();
      session.set("user", "ada");
      await session.save();
      const [id = "", token = ""] = [session.id, session.token];
      const { data, expiry } = (await store.find(id)) as StoredSession;
      const errors: unknown[] = [];
      const listener = (event: unknown): unknown => errors.push((event as { error: { cause: unknown } }).error.cause);
      subscribe("pgstore:error", listener);
      const outcomes = [];
      for (const longest of [data.length, data.length - 1]) {
        const manager = new SessionManager(store, { codec, maxBytes: longest });
        outcomes.push((await manager.load(token)).get("user"));
      }
      unsubscribe("pgstore:error", listener);
      expect(outcomes).toEqual(["ada", undefined]);
      expect(seen).toEqual([data.length]);
      expect(errors).toEqual([expect.objectContaining({ code: "SESSION_TOO_LARGE" })]);
      expect(await store.find(id)).toEqual({ data, expiry });
      // By default a mebibyte.
      await store.save(id, new Uint8Array(1024 * 1024 + 1).fill(0x20), expiry);
      expect((await new SessionManager(store, { codec }).load(token)).status).toBe("new");
      expect(seen).toHaveLength(1);
    });

    it("come back as what they were, whichever they are", async () => {
      const leaf = fc.oneof(
        fc.string({ unit: "binary" }),
        fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
        fc.boolean(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.bigInt(),
        fc.date({ noInvalidDate: true }),
        fc.uint8Array(),
        fc.constant(null),
      );
      const { value } = fc.letrec<{ value: Value }>((tie) => ({
        value: fc.oneof(
          { maxDepth: 4 },
          leaf,
          fc.array(tie("value"), { maxLength: 4 }),
          fc.dictionary(fc.string(), tie("value"), { maxKeys: 4 }),
        ),
      }));
      const key = fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "a/b", "~0", "0"));
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(key, value), { maxLength: 8 }), async (pairs) => {
          const values = new Map([...pairs, ["present", true]] as [string, Value][]);
          const found = await roundTrip(where, values);
          expect(found.size).toBe(values.size);
          for (const [name, stored] of values) expect(equalValues(found.get(name), stored)).toBe(true);
        }),
        { numRuns: 60 },
      );
    });
  });
}
