import { inspect } from "node:util";
import { type } from "arktype";
import fc from "fast-check";
import * as v from "valibot";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { fetchHandler } from "../../src/fetch.ts";
import {
  MemoryStore,
  PgStore,
  type Session,
  SessionInvalidError,
  SessionManager,
  type SessionOptions,
  type StandardSchema,
} from "../../src/index.ts";
import { listen } from "../../src/lib/core/events.ts";
import { equalValues } from "../../src/lib/core/value.ts";
import { nodeHandler } from "../../src/node.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { serving } from "../support/serve.ts";

type Store = MemoryStore | PgStore;
type Free = Session<Record<string, unknown>>;

let database: TestDatabase;
let postgres: PgStore;
beforeAll(async () => {
  database = await createDatabase();
  postgres = new PgStore(database.pool(), { cleanupInterval: 0 });
});
afterAll(() => database.drop());

const open: Record<string, () => Store> = {
  PostgreSQL: () => postgres,
  MemoryStore: () => new MemoryStore({ cleanupInterval: 0 }),
};

/** The same data in the words of each library. */
const libraries = {
  Zod: {
    cart: z.array(z.object({ sku: z.string(), count: z.number().min(1) })).default([]),
    name: z.string().trim(),
    visits: z.number().max(100).default(0),
  },
  Valibot: {
    cart: v.optional(v.array(v.object({ sku: v.string(), count: v.pipe(v.number(), v.minValue(1)) })), []),
    name: v.pipe(v.string(), v.trim()),
    visits: v.optional(v.pipe(v.number(), v.maxValue(100)), 0),
  },
  ArkType: {
    cart: type({ sku: "string", count: "number >= 1" })
      .array()
      .or("undefined")
      .pipe((cart) => cart ?? []),
    name: type("string.trim"),
    visits: type("number <= 100 | undefined").pipe((visits) => visits ?? 0),
  },
};

/** A manager of data that only the schema describes. */
function manage(store: Store, schema: Record<string, StandardSchema>, options: SessionOptions = {}) {
  return new SessionManager<Record<string, unknown>>(store, { ...options, schema });
}

async function stored(manager: SessionManager<Record<string, unknown>>, values: object): Promise<string> {
  const session = await manager.load();
  for (const [key, value] of Object.entries(values)) session.set(key, value);
  await manager.commit(session);
  return session.token ?? "";
}

/** Returns what an action throws or rejects with. */
async function errorOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return expect.unreachable();
}

describe.each(Object.entries(libraries))("schema with %s", (_name, schema) => {
  describe.each(Object.keys(open))("on %s", (where) => {
    let store: Store;
    beforeEach(() => void (store = (open[where] as () => Store)()));

    it("stores what the schema makes of a value, and gives it back", async () => {
      const manager = new SessionManager(store, { schema });
      const session = await manager.load();
      session.set("name", "  Ada ").set("cart", [{ sku: "A-1", count: 2 }]);
      expect(session.get("name")).toBe("Ada");
      await manager.commit(session);
      const again = await manager.load(session.token);
      expect([again.get("name"), again.get("cart")]).toEqual(["Ada", [{ sku: "A-1", count: 2 }]]);
      expect(again.keys()).toEqual(["cart", "name"]);
    });

    it("refuses a value, names its key and hides the value", async () => {
      const manager = manage(store, schema);
      const session = await manager.load(await stored(manager, { name: "Ada" }));
      const error = (await errorOf(() => session.set("cart", [{ sku: "hunter2", count: -17 }]))) as SessionInvalidError;
      expect(error).toBeInstanceOf(SessionInvalidError);
      expect(error).toMatchObject({ code: "SESSION_INVALID", key: "cart" });
      expect(error.issues.length).toBeGreaterThan(0);
      expect(error.message).toBe('session key "cart": the schema refuses the value');
      expect(`${inspect(error)}${JSON.stringify(error)}`).not.toMatch(/hunter2|17/);
      expect([session.has("cart"), session.status]).toEqual([false, "unmodified"]);
    });

    it("begins with the defaults, of which each session has its own", async () => {
      const manager = new SessionManager(store, { schema });
      const [one, two] = [await manager.load(), await manager.load()];
      expect([one.get("visits"), one.get("name"), one.has("visits"), one.size]).toEqual([0, undefined, false, 0]);
      one.get("cart")?.push({ sku: "A-1", count: 1 });
      expect([one.has("cart"), one.keys(), one.status]).toEqual([true, ["cart"], "modified"]);
      await manager.commit(one);
      expect((await manager.load(one.token)).get("cart")).toEqual([{ sku: "A-1", count: 1 }]);
      expect([two.get("cart"), two.status]).toEqual([[], "new"]);
      await manager.commit(two);
      expect(two.status).toBe("new");
    });

    it("checks each step of update, and what it is given when the key is absent", async () => {
      const manager = new SessionManager(store, { schema });
      const session = await manager.load();
      expect(session.update("visits", (visits) => (visits ?? Number.NaN) + 1)).toBe(1);
      await expect(errorOf(() => session.update("visits", () => 101))).resolves.toMatchObject({ key: "visits" });
      expect(session.get("visits")).toBe(1);
    });

    it("checks an object that was changed in place when the change is stored", async () => {
      const manager = new SessionManager(store, { schema });
      const session = await manager.load();
      session.set("cart", [{ sku: "A-1", count: 1 }]);
      await manager.commit(session);
      const late = await manager.load(session.token);
      const item = late.get("cart")?.[0];
      if (item !== undefined) item.count = 0;
      late.set("name", "Ada");
      const error = await errorOf(() => manager.commit(late));
      expect(error).toMatchObject({ name: "SessionInvalidError", key: "cart" });
      expect((error as Error).message).toBe(
        'session key "cart": the schema refuses the value that was changed in place',
      );
      const kept = await manager.load(session.token);
      expect([kept.get("cart"), kept.get("name")]).toEqual([[{ sku: "A-1", count: 1 }], undefined]);
      // The application may mend it and commit again.
      if (item !== undefined) item.count = 3;
      await manager.commit(late);
      expect((await manager.load(session.token)).get("cart")).toEqual([{ sku: "A-1", count: 3 }]);
    });

    it("stores and checks changes in place of the object that was set, or returned by a step of update", async () => {
      const manager = new SessionManager(store, { schema });
      const session = await manager.load();
      const set = [{ sku: "A-1", count: 1 }];
      session.set("cart", set);
      set.push({ sku: "A-2", count: 2 });
      await manager.commit(session);
      expect((await manager.load(session.token)).get("cart")).toEqual(set);
      set.push({ sku: "A-3", count: 3 });
      await manager.commit(session);
      expect((await manager.load(session.token)).get("cart")).toEqual(set);
      const updated = [...set];
      session.update("cart", () => updated);
      updated.pop();
      await manager.commit(session);
      expect((await manager.load(session.token)).get("cart")).toEqual(updated);
      const wrong = [{ sku: "A-1", count: 1 }];
      session.set("cart", wrong);
      wrong.push({ sku: "A-1", count: -1 });
      await expect(manager.commit(session)).rejects.toMatchObject({ name: "SessionInvalidError", key: "cart" });
      expect((await manager.load(session.token)).get("cart")).toEqual(updated);
    });

    it("forgets a change in place that was replaced before the commit", async () => {
      const manager = new SessionManager(store, { schema });
      const replace: ((session: Awaited<ReturnType<typeof manager.load>>) => unknown)[] = [
        (session) => session.set("cart", []),
        (session) => session.delete("cart"),
        (session) => session.pop("cart"),
        (session) => session.clear(),
        (session) => session.update("cart", () => []),
        (session) => session.reset(),
      ];
      for (const one of replace) {
        const session = await manager.load();
        session.set("cart", [{ sku: "A-1", count: 1 }]);
        await manager.commit(session);
        session.get("cart")?.push({ sku: "A-1", count: -1 });
        await one(session);
        await manager.commit(session);
        expect((await manager.load(session.token)).get("cart"), String(one)).toEqual([]);
      }
    });

    it("leaves out a stored value that it refuses, until something is written", async () => {
      const before = new SessionManager<Record<string, unknown>>(store);
      const token = await stored(before, { cart: "an older release's", name: "Ada", other: 1 });
      const manager = manage(store, schema);
      const dropped: object[] = [];
      onTestFinished(listen({ invalid: (event) => dropped.push(event) }));
      const session = await manager.load(token);
      expect([session.get("cart"), session.get("name"), session.get("other")]).toEqual([[], "Ada", 1]);
      expect([session.has("cart"), session.status]).toEqual([false, "unmodified"]);
      expect((await manager.commit(session)).kind).toBe("nothing");
      expect(dropped).toEqual([{ id: session.id, key: "cart" }]);
      expect((await before.load(token)).get("cart")).toBe("an older release's");
      session.set("other", 2);
      await manager.commit(session);
      expect((await before.load(token)).keys()).toEqual(["name", "other"]);
    });

    it("counts to 100 in 100 parallel requests of two processes, and not to 101", async () => {
      const managers = [manage(store, schema), manage(store, schema)];
      const token = await stored(managers[0] as SessionManager<Record<string, unknown>>, { name: "Ada" });
      const visit = async (index: number): Promise<unknown> => {
        const manager = managers[index % 2] as SessionManager<Record<string, unknown>>;
        const session = await manager.load(token);
        session.update("visits", (visits) => Number(visits) + 1);
        return manager.commit(session).then(
          () => "stored",
          (error: unknown) => (error as Error).name,
        );
      };
      const outcomes = await Promise.all(Array.from({ length: 101 }, (_, index) => visit(index)));
      expect(outcomes.filter((outcome) => outcome !== "stored")).toEqual(["SessionInvalidError"]);
      expect((await managers[0]?.load(token))?.get("visits")).toBe(100);
    });
  });
});

describe("onInvalid", () => {
  const schema = { cart: z.array(z.string()), name: z.string() };

  it("migrates a value, which the next write stores", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const token = await stored(new SessionManager<Record<string, unknown>>(store), { cart: "a,b", name: 7 });
    const calls: unknown[] = [];
    const manager = manage(store, schema, {
      onInvalid: (key, value, issues) => {
        calls.push([key, value, issues.length]);
        return key === "cart" ? String(value).split(",") : undefined;
      },
    });
    const session = await manager.load(token);
    expect([session.get("cart"), session.get("name")]).toEqual([["a", "b"], undefined]);
    expect(calls).toEqual([
      ["cart", "a,b", 1],
      ["name", 7, 1],
    ]);
    session.set("other", 1);
    await manager.commit(session);
    expect((await manage(store, schema, { onInvalid: "fail" }).load(token)).get("cart")).toEqual(["a", "b"]);
  });

  it("fails the load when it returns a value that the schema refuses as well", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const token = await stored(new SessionManager<Record<string, unknown>>(store), { cart: "a,b" });
    const manager = manage(store, schema, { onInvalid: (_key, value) => value });
    const message = 'session key "cart": the schema refuses the value that onInvalid has returned';
    await expect(manager.load(token)).rejects.toThrow(message);
  });

  it('"fail" answers with a 500, and lets a list go on', async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const token = await stored(new SessionManager<Record<string, unknown>>(store), { cart: "secret" });
    const errors: unknown[] = [];
    const manager = manage(store, schema, { onInvalid: "fail", onError: (error) => errors.push(error) });
    const handler = fetchHandler(manager, () => new Response("never"));
    const answer = await handler(new Request("http://x/", { headers: { cookie: `session=${token}` } }));
    expect([answer.status, answer.headers.get("vary")]).toEqual([500, "Cookie"]);
    expect(errors).toEqual([
      expect.objectContaining({ message: 'session key "cart": the schema refuses the stored value' }),
    ]);
    const published: unknown[] = [];
    onTestFinished(listen({ error: ({ error }) => published.push(error) }));
    const good = await stored(manager, { cart: ["a"] });
    const listed: unknown[] = [];
    for await (const session of manager.iterate()) listed.push(session.get("cart"));
    expect(listed).toEqual([["a"]]);
    expect(published).toEqual(errors);
    expect((await manager.load(good)).get("cart")).toEqual(["a"]);
  });

  it("is not asked for what a handler sets or changes: the answer is a 500 without the value", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const errors: unknown[] = [];
    const manager = manage(store, schema, {
      onInvalid: () => expect.unreachable(),
      onError: (error) => errors.push(error),
    });
    const token = await stored(manager, { cart: ["a"] });
    const listener = nodeHandler(manager, (request, response) => {
      const session = manager.sessionOf(request);
      if (request.url === "/set") session.set("name", 17);
      else (session.get("cart") as unknown[]).push(17);
      response.end("never");
    });
    await serving(listener, async ({ get }) => {
      for (const path of ["/set", "/push"]) {
        const answer = await get(path, `session=${token}`);
        expect([answer.status, await answer.text()]).toEqual([500, "Internal Server Error\n"]);
      }
    });
    expect(errors).toEqual([
      expect.objectContaining({ name: "SessionInvalidError", key: "name" }),
      expect.objectContaining({ name: "SessionInvalidError", key: "cart" }),
    ]);
    expect((await manager.load(token)).get("cart")).toEqual(["a"]);
  });

  it("fails a commit whose newer row has a value that the schema refuses", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const manager = manage(store, schema, { onInvalid: "fail" });
    const token = await stored(manager, { cart: ["a"] });
    const session = await manager.load(token);
    const other = new SessionManager<Record<string, unknown>>(store);
    const theirs = await other.load(token);
    theirs.set("name", 7);
    await other.commit(theirs);
    session.set("cart", ["b"]);
    await expect(manager.commit(session)).rejects.toMatchObject({ name: "SessionInvalidError", key: "name" });
    expect((await other.load(token)).get("cart")).toEqual(["a"]);
  });
});

describe("an object that a schema or onInvalid returns each time", () => {
  const shared: string[] = [];
  const caught = z.object({ tags: z.array(z.string()).catch(shared) }).catch({ tags: shared });
  const same = type("string[]");

  it.each([
    ["set", caught, { tags: 5 }, (session: Free): void => void session.set("key", 5)],
    ["update", caught, { tags: 5 }, (session: Free): void => void session.update("key", () => ({ tags: 5 }))],
    ["load", caught, { tags: 5 }, undefined],
    ["onInvalid", same, 5, undefined],
  ])("is copied for each session: %s", async (_name, schema, stale, write) => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const before = new SessionManager<Record<string, unknown>>(store);
    const manager = manage(store, { key: schema }, { onInvalid: () => shared });
    const begin = async (): Promise<string[]> => {
      const session = await manager.load(write === undefined ? await stored(before, { key: stale }) : undefined);
      write?.(session);
      const value = session.get("key") as string[] | { tags: string[] };
      return Array.isArray(value) ? value : value.tags;
    };
    (await begin()).push("a secret of one user");
    expect([await begin(), shared]).toEqual([[], []]);
  });
});

describe("a default", () => {
  const schema = {
    list: z.array(z.number()).default([]),
    map: z.any().transform((value: unknown) => value ?? new Map()),
  };

  const begin = async (): Promise<[SessionManager<Record<string, unknown>>, Free]> => {
    const manager = manage(new MemoryStore({ cleanupInterval: 0 }), schema);
    return [manager, await manager.load()];
  };

  it("is one object for one session, and the session's own once it was changed", async () => {
    const [manager, session] = await begin();
    const list = session.get("list") as number[];
    expect(session.get("list")).toBe(list);
    expect([session.size, session.delete("list")]).toEqual([0, false]);
    list.push(1);
    expect([session.size, session.get("list")]).toEqual([1, [1]]);
    expect(session.update("list", (current) => [...(current as number[]), 2])).toEqual([1, 2]);
    list.push(9);
    await manager.commit(session);
    expect((await manager.load(session.token)).get("list")).toEqual([1, 2]);
  });

  it.each([
    ["delete", (session: Free) => session.delete("list")],
    ["pop", (session: Free) => session.pop("list")],
    ["clear", (session: Free) => session.clear()],
    ["set", (session: Free) => session.set("list", [])],
  ])("no longer belongs to the session after %s, changed before or not", async (_name, end) => {
    for (const change of [true, false]) {
      const [manager, session] = await begin();
      const list = session.get("list") as number[];
      session.set("other", 1);
      if (change) list.push(1);
      end(session);
      if (change || _name !== "delete") list.push(2);
      await manager.commit(session);
      const again = await manager.load(session.token);
      expect([again.get("list"), again.keys().includes("list")]).toEqual([[], _name === "set"]);
    }
  });

  it("is what pop returns, changed in place or not", async () => {
    const [, session] = await begin();
    expect(session.pop("list")).toEqual([]);
    (session.get("list") as number[]).push(5);
    expect(session.pop("list")).toEqual([5]);
    expect(session.get("list")).toEqual([]);
  });

  it("that a session can't hold is a TypeError that names the key", async () => {
    const [, session] = await begin();
    expect(() => session.get("map")).toThrow(/^session key "map": an instance of Map can't be stored$/);
  });
});

describe("a schema", () => {
  const load = async (schema: Record<string, StandardSchema>): Promise<Free> =>
    manage(new MemoryStore({ cleanupInterval: 0 }), schema).load();

  it("must be synchronous, where a value is set and where one is loaded", async () => {
    const later = z.string().refine(async () => true);
    const validate = async (): Promise<never> => Promise.reject(new Error("never reported"));
    const session = await load({ name: later, failing: { "~standard": { version: 1, validate } } });
    expect(() => session.set("failing", 1)).toThrow(/^session key "failing": the schema is asynchronous/);
    expect(() => session.get("failing")).toThrow(/^session key "failing": the schema is asynchronous/);
    const message = 'session key "name": the schema is asynchronous, a session needs a synchronous one';
    expect(() => session.set("name", "Ada")).toThrow(new TypeError(message));
    const store = new MemoryStore({ cleanupInterval: 0 });
    const token = await stored(new SessionManager<Record<string, unknown>>(store), { name: "Ada" });
    await expect(manage(store, { name: later }).load(token)).rejects.toThrow(message);
  });

  it("must accept its own output and leave it as it is", async () => {
    const session = await load({
      length: z.string().transform((text) => text.length),
      more: z.number().transform((number) => number + 1),
      date: z.coerce.date(),
      map: z.map(z.string(), z.number()).transform((map) => Object.fromEntries(map)),
    });
    const message = /must accept its own output and return it unchanged/;
    expect(() => session.set("length", "four")).toThrow(message);
    expect(() => session.set("more", 1)).toThrow(message);
    expect(() => session.set("map", new Map())).toThrow(message);
    expect(session.set("date", "2026-11-30").get("date")).toEqual(new Date("2026-11-30"));
    expect(session.keys()).toEqual(["date"]);
  });

  it("must return what a session can hold", async () => {
    const session = await load({ set: z.set(z.string()), maybe: z.string().optional() });
    expect(() => session.set("set", new Set())).toThrow(/^session key "set": an instance of Set can't be stored$/);
    expect(() => session.set("maybe", undefined)).toThrow(/^session key "maybe": undefined can't be stored$/);
  });

  it("checks only its own keys, whatever they are called", async () => {
    const session = await load({ ["__proto__"]: z.number(), constructor: z.number(), "": z.number() });
    for (const key of ["__proto__", "constructor", ""]) {
      expect(() => session.set(key, "x")).toThrow(SessionInvalidError);
      expect(session.set(key, 1).get(key)).toBe(1);
    }
    expect(session.set("other", { any: ["thing"] }).get("other")).toEqual({ any: ["thing"] });
  });

  const wrong: [options: object, message: string][] = [
    [
      { schema: "zod" },
      'schema: expected an object with a schema for each key, such as { cart: z.array(z.string()) }, got "zod"',
    ],
    [
      { schema: z.object({}) },
      "schema: expected an object with a schema for each key, such as { cart: z.array(z.string()) }, got an object",
    ],
    [
      { schema: type({}) },
      "schema: expected an object with a schema for each key, such as { cart: z.array(z.string()) }, got a function",
    ],
    [{ schema: { cart: {} } }, "schema.cart: expected a Standard Schema (https://standardschema.dev), got an object"],
    [{ schema: { cart: null } }, "schema.cart: expected a Standard Schema (https://standardschema.dev), got null"],
    [{ schema: { __userId: z.string() } }, 'schema: expected keys that pgstore does not reserve, got "__userId"'],
    [{ schema: {}, onInvalid: "keep" }, 'onInvalid: expected "drop", "fail" or a function, got "keep"'],
    [{ onInvalid: "fail" }, "schema: expected a schema, because onInvalid is given, got undefined"],
  ];
  it.each(wrong)("is refused when it is wrong: %s", (options, message) => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    expect(() => new SessionManager(store, options)).toThrow(new TypeError(message));
  });
});

describe("what set accepts", () => {
  const schemas: StandardSchema[] = [
    z.string().trim(),
    z.coerce.number(),
    z.coerce.bigint(),
    z.coerce.date(),
    z.string().transform((text) => text.length),
    z.array(z.union([z.number(), z.string().toUpperCase()])),
    z.object({ a: z.string().default("a"), b: z.number().optional() }),
    z.looseObject({}),
    z.record(z.string(), z.unknown()),
    z.any(),
    z.instanceof(Uint8Array),
    v.pipe(v.unknown(), v.transform(String), v.trim()),
    v.looseObject({ a: v.optional(v.array(v.number()), [1]) }),
    v.nullable(v.boolean()),
    type("string.trim | number | bigint[]"),
    type({ "a?": "string", "[string]": "unknown" }),
  ];
  const values = fc.oneof(
    fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: true,
    }),
    fc.string(),
    fc.dictionary(fc.constantFrom("a", "b", "__proto__"), fc.oneof(fc.string(), fc.double(), fc.array(fc.integer()))),
    fc.date(),
    fc.uint8Array(),
  );

  it.each([
    ["MemoryStore", 700],
    ["PostgreSQL", 100],
  ] as const)("is what a load gives back, on %s", async (where, numRuns) => {
    const store = (open[where] as () => Store)();
    let accepted = 0;
    const property = fc.asyncProperty(fc.constantFrom(...schemas), values, async (schema, value) => {
      const manager = manage(store, { key: schema }, { onInvalid: "fail" });
      const session = await manager.load();
      try {
        session.set("key", value);
      } catch (error) {
        expect(error instanceof TypeError || error instanceof SessionInvalidError).toBe(true);
        expect(session.status).toBe("new");
        return;
      }
      accepted++;
      await manager.commit(session);
      const again = await manager.load(session.token);
      expect(equalValues(again.get("key"), session.get("key"))).toBe(true);
      await again.destroy();
    });
    await fc.assert(property, { numRuns });
    expect(accepted).toBeGreaterThan(numRuns / 20);
  });
});
