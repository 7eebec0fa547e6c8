import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MemoryStore } from "../../src/index.ts";
import * as scs from "../../src/scs.ts";
import { cookieOf, serve, type Served } from "../support/serve.ts";

/** One type of value: what is put, and how an absent one reads. */
interface Kind {
  put: (request: object) => void;
  get: (request: object, key: string) => unknown;
  pop: (request: object, key: string) => unknown;
  value: unknown;
  zero: unknown;
  /** A value of another type. */
  other: unknown;
}

const time = new Date("2009-11-10T23:00:00Z");
const bytes = new TextEncoder().encode("lorem ipsum");
const user = { name: "alice", age: 21, seen: [time] };

const kinds: Record<string, Kind> = {
  String: {
    put: (r) => scs.putString(r, "key", "lorem ipsum"),
    get: scs.getString,
    pop: scs.popString,
    value: "lorem ipsum",
    zero: "",
    other: 1,
  },
  Bool: {
    put: (r) => scs.putBool(r, "key", true),
    get: scs.getBool,
    pop: scs.popBool,
    value: true,
    zero: false,
    other: "true",
  },
  Int: {
    put: (r) => scs.putInt(r, "key", 12345),
    get: scs.getInt,
    pop: scs.popInt,
    value: 12345,
    zero: 0,
    other: 1.5,
  },
  Int64: {
    put: (r) => scs.putInt64(r, "key", 9223372036854775807n),
    get: scs.getInt64,
    pop: scs.popInt64,
    value: 9223372036854775807n,
    zero: 0n,
    other: "1",
  },
  Float: {
    put: (r) => scs.putFloat(r, "key", 12.345),
    get: scs.getFloat,
    pop: scs.popFloat,
    value: 12.345,
    zero: 0,
    other: "12.345",
  },
  Time: {
    put: (r) => scs.putTime(r, "key", time),
    get: scs.getTime,
    pop: scs.popTime,
    value: time,
    zero: new Date("0001-01-01T00:00:00Z"),
    other: "yesterday",
  },
  Bytes: {
    put: (r) => scs.putBytes(r, "key", bytes),
    get: scs.getBytes,
    pop: scs.popBytes,
    value: bytes,
    zero: new Uint8Array(),
    other: "not base64!",
  },
  Object: {
    put: (r) => scs.putObject(r, "key", user),
    get: scs.getObject,
    pop: scs.popObject,
    value: user,
    zero: undefined,
    other: "text",
  },
};

let app: Served;
let current: (request: object) => unknown;
beforeAll(async () => {
  const middleware = scs.manage(new MemoryStore({ cleanupInterval: 0 }));
  app = await serve(
    middleware((request, response) => {
      current(request);
      response.end();
    }),
  );
});
afterAll(() => app.close());

/** Does something with the session of a request; returns the cookie for the next one. */
async function visit(work: (request: object) => unknown, cookie?: string): Promise<string> {
  let thrown: unknown;
  current = (request) => {
    try {
      work(request);
    } catch (error) {
      thrown = error;
    }
  };
  const response = await app.get("/", cookie);
  if (thrown !== undefined) throw thrown;
  return cookieOf(response) ?? cookie ?? "";
}

/** Ported from data_test.go. */
describe("the session data of SCS v0.1.1", () => {
  for (const [name, { put, get, pop, value, zero, other }] of Object.entries(kinds)) {
    it(`Test${name}: what is put is got in the next request, popped once, and absent then`, async () => {
      const cookie = await visit(put);
      await visit((r) => expect(get(r, "key")).toEqual(value), cookie);
      await visit((r) => expect(pop(r, "key")).toEqual(value), cookie);
      await visit((r) => expect(get(r, "key")).toEqual(zero), cookie);
      await visit((r) => expect(pop(r, "key")).toEqual(zero), cookie);
    });

    it(`Test${name}: a value of another type is TypeAssertionError, which names the key`, async () => {
      const cookie = await visit((r) => scs.sessionOf(r).set("key", other));
      await visit((r) => expect(() => get(r, "key")).toThrow(scs.TypeAssertionError), cookie);
      await visit((r) => expect(() => get(r, "key")).toThrow(/"key"/), cookie);
      // As in Go, what is popped is gone, whatever it was.
      await visit((r) => expect(() => pop(r, "key")).toThrow(scs.TypeAssertionError), cookie);
      await visit((r) => expect(scs.exists(r, "key")).toBe(false), cookie);
    });
  }

  it("TestBytes, TestObject: nothing is no value", async () => {
    await visit((r) => {
      expect(() => scs.putBytes(r, "key", null as never)).toThrow(TypeError);
      expect(() => scs.putObject(r, "key", null as never)).toThrow(TypeError);
      expect(() => scs.putObject(r, "key", new Date() as never)).toThrow(TypeError);
      expect(() => scs.putInt(r, "key", 1.5)).toThrow(/"key"/);
      expect(() => scs.putInt(r, "key", 2 ** 53)).toThrow(TypeError);
      expect(() => scs.putInt64(r, "key", 2n ** 63n)).toThrow(TypeError);
      expect(() => scs.putFloat(r, "key", Number.NaN)).toThrow(TypeError);
      expect(() => scs.putString(r, "key", 1 as never)).toThrow(TypeError);
      expect(scs.exists(r, "key")).toBe(false);
    });
  });

  it("TestInt64: takes a number, and reads one", async () => {
    const cookie = await visit((r) => scs.putInt64(r, "key", 5));
    await visit((r) => expect([scs.getInt64(r, "key"), scs.getInt(r, "key")]).toEqual([5n, 5]), cookie);
    await visit((r) => scs.putInt64(r, "key", 6n), cookie);
    await visit(
      (r) => expect([scs.getInt64(r, "key"), scs.getInt(r, "key"), scs.getFloat(r, "key")]).toEqual([6n, 6, 6]),
      cookie,
    );
  });

  it("TestKeys: lists the keys, sorted", async () => {
    const cookie = await visit((r) => {
      expect(scs.keys(r)).toEqual([]);
      scs.putString(r, "test_string", "x");
      scs.putBool(r, "test_bool", true);
    });
    await visit((r) => expect(scs.keys(r)).toEqual(["test_bool", "test_string"]), cookie);
  });

  it("TestExists: tells whether a key is present", async () => {
    const cookie = await visit((r) => scs.putString(r, "test_string", ""));
    await visit((r) => expect([scs.exists(r, "test_string"), scs.exists(r, "other")]).toEqual([true, false]), cookie);
  });

  it("TestRemove: removes a key and leaves the others", async () => {
    const cookie = await visit((r) => {
      scs.putString(r, "test_string", "x");
      scs.putBool(r, "test_bool", true);
    });
    await visit((r) => {
      scs.remove(r, "test_string");
      scs.remove(r, "absent");
    }, cookie);
    await visit((r) => expect(scs.keys(r)).toEqual(["test_bool"]), cookie);
  });

  it("TestClear: removes every key; the session stays", async () => {
    const cookie = await visit((r) => {
      scs.putString(r, "test_string", "x");
      scs.putBool(r, "test_bool", true);
    });
    expect(await visit((r) => scs.clear(r), cookie)).toBe(cookie);
    await visit((r) => expect(scs.keys(r)).toEqual([]), cookie);
    await visit((r) => scs.clear(r), cookie);
  });
});
