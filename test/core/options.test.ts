import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { ExpressSessionStore } from "../../src/express-session.ts";
import {
  type CookieOptions,
  MemoryStore,
  PgStore,
  type PgStoreOptions,
  SessionManager,
  type SessionOptions,
} from "../../src/index.ts";
import { manage } from "../../src/scs.ts";

const db = { query: async () => ({ rows: [] }) };

describe("new PgStore", () => {
  const wrong: [options: object, message: RegExp][] = [
    [{ table: "" }, /^table: expected a non-empty string, got ""/],
    [{ table: 7 }, /^table: /],
    [{ table: "a\0b" }, /^table: expected valid UTF-8 without NUL/],
    [{ table: "\ud800" }, /^table: expected valid UTF-8/],
    [{ table: "n".repeat(64) }, /^table: expected at most 63 bytes/],
    [{ table: "ü".repeat(32) }, /^table: expected at most 63 bytes/],
    [{ schema: "" }, /^schema: /],
    [{ cleanupInterval: -1 }, /^cleanupInterval: expected a duration of at least 0 and at most 100 years, got -1$/],
    [{ cleanupInterval: "0" }, /^cleanupInterval: expected a duration with a unit, such as "20m" or "5s", got "0"$/],
    [{ cleanupInterval: "often" }, /^cleanupInterval: expected a duration such as 60000 or "20m", got "often"$/],
    [{ cleanupInterval: Number.POSITIVE_INFINITY }, /^cleanupInterval: /],
    [{ queryTimeout: 0 }, /^queryTimeout: expected a duration of more than 0 and at most 2147483647 ms, got 0$/],
    [{ batch: 7 }, /^batch: expected an object, got (?:7|null)$/],
    [{ batch: null }, /^batch: expected an object, got (?:7|null)$/],
    [{ batch: { rows: 0 } }, /^batch.rows: expected a whole number from 1, got /],
    [{ batch: { statements: 1.5 } }, /^batch.statements: expected a whole number from 1, got /],
    [{ batch: { waiting: "many" } }, /^batch.waiting: expected a whole number from 1, got /],
    [{ batch: { size: 1 } }, /^batch.size: there is no such option/],
    [{ prepare: "yes" }, /^prepare: expected a boolean, got /],
    [{ onError: "log" }, /^onError: expected a function, got /],
    [{ cleanupInterval: 5n }, /^cleanupInterval: expected a duration such as 60000 or "20m", got 5n$/],
    [{ queryTimeout: {} }, /^queryTimeout: expected a duration such as 60000 or "20m", got an object$/],
    [{ endedGrace: Symbol("s") }, /^endedGrace: expected a duration such as 60000 or "20m", got Symbol\(s\)$/],
    [{ batch: { rows: 5n } }, /^batch.rows: /],
    [{ tabel: "typo" }, /^tabel: there is no such option/],
  ];
  for (const [options, message] of wrong) {
    it(`refuses ${inspect(options).slice(0, 40)}`, () => {
      expect(() => new PgStore(db, options)).toThrow(TypeError);
      expect(() => new PgStore(db, options)).toThrow(message);
    });
  }

  it("refuses what is no client", () => {
    for (const none of [undefined, null, "postgres://", {}, { query: 1 }]) {
      expect(() => new PgStore(none as never)).toThrow(/^db: expected a pg.Pool.*, got /);
    }
    const url = "postgres://app:hunter2@localhost/app";
    expect(() => new PgStore(url as never)).toThrow(/, got a string: openStore takes a URL$/);
    // Drizzle's query is not a function.
    const drizzle = { query: {}, $client: db };
    expect(() => new PgStore(drizzle as never)).toThrow(/, got a Drizzle database: pass db\.\$client$/);
  });

  // test/apps/orms.test.ts passes the real ones.
  it.each([
    ["a PrismaClient", ["$queryRawUnsafe", "$transaction"], /PrismaPg/],
    ["pg-promise's database", ["query", "$pool", "$config"], /db\.\$pool$/],
    ["a Kysely instance", ["selectFrom", "getExecutor"], /PostgresDialect$/],
    ["a Sequelize instance", ["query", "getQueryInterface", "connectionManager"], /a separate pg\.Pool/],
    ["a TypeORM DataSource", ["query", "createQueryRunner", "driver"], /dataSource\.driver\.master/],
    ["a TypeORM EntityManager", ["query", "createQueryBuilder", "getRepository"], /dataSource\.driver\.master/],
    ["a TypeORM QueryRunner", ["query", "startTransaction", "broadcaster"], /dataSource\.driver\.master/],
    ["MikroORM", ["em", "discovery"], /a separate pg\.Pool/],
    ["MikroORM's EntityManager", ["createQueryBuilder", "getRepository", "getUnitOfWork", "getConnection"], /separate/],
    ["a Slonik pool", ["query", "anyFirst", "maybeOne"], /a separate pg\.Pool/],
  ])("refuses %s with a remedy", (name, members, remedy) => {
    const db = Object.fromEntries(members.map((member) => [member, () => Promise.resolve({ rows: [] })]));
    expect(() => new PgStore(db as never)).toThrow(TypeError);
    expect(() => new PgStore(db as never)).toThrow(`, got ${name}: pass `);
    expect(() => new PgStore(db as never)).toThrow(remedy);
  });

  it("refuses a Knex instance, which is a function", () => {
    const knex = Object.assign(() => {}, { raw: 0, schema: 0, client: 0, migrate: 0 });
    expect(() => new PgStore(knex as never)).toThrow(/, got a Knex instance: pass a separate pg\.Pool/);
  });

  it.each([[[]], [{}], [undefined], [{ rows: 1 }]])(
    "says what a client must answer with, when that is %j",
    async (answer) => {
      let queries = 0;
      const client = { query: () => Promise.resolve((queries++, answer)) };
      const store = new PgStore(client as never, { cleanupInterval: 0 });
      await expect(store.find("id")).rejects.toMatchObject({
        name: "StoreError",
        message: expect.stringMatching(/^db\.query: expected an answer \{ rows \}, got (?:an array|no rows): /),
      });
      expect(queries).toBe(1);
    },
  );
});

describe("new SessionManager", () => {
  const store = new MemoryStore({ cleanupInterval: 0 });
  const wrong: [options: unknown, message: RegExp][] = [
    [null, /^options: expected an object, got null$/],
    [{ lifetime: -1 }, /^lifetime: expected a duration of more than 0 and at most 100 years, got -1$/],
    [{ lifetime: 0 }, /^lifetime: expected a duration of more than 0 and at most 100 years, got 0$/],
    [{ lifetime: "5" }, /^lifetime: expected a duration with a unit, such as "20m" or "5s", got "5"$/],
    [{ idleTimeout: " 1e3 " }, /^idleTimeout: expected a duration with a unit, .* got " 1e3 "$/],
    [{ lifetime: "5 parsecs" }, /^lifetime: expected a duration such as 60000 or "20m", got "5 parsecs"$/],
    [{ transport: "url" }, /^transport: expected "cookie", "header" or/],
    [{ transport: null }, /^transport: /],
    [{ transport: { header: "no header" } }, /^transport: /],
    [
      { transport: { header: "Set-Cookie" } },
      /^transport.header: expected a header of your own such as "Session-Token", got "Set-Cookie"$/,
    ],
    [{ lazy: "yes" }, /^lazy: expected a boolean, got /],
    [{ trustProxy: 1 }, /^trustProxy: expected a boolean, got /],
    [{ lifetime: "" }, /^lifetime: expected a duration such as 60000 or "20m", got ""$/],
    [{ lifetime: Number.NaN }, /^lifetime: /],
    [{ lifetime: "2000y" }, /^lifetime: expected a duration of more than 0 and at most 100 years, got "2000y"$/],
    [{ lifetime: {} }, /^lifetime: /],
    [{ lifetime: 5n }, /^lifetime: expected a duration such as 60000 or "20m", got 5n$/],
    [{ maxBytes: 5n }, /^maxBytes: /],
    [{ maxSessionsPerUser: 5n }, /^maxSessionsPerUser: /],
    [{ cookie: { name: 5n } }, /^cookie\.name: expected a cookie name, got 5n$/],
    [{ idleTimeout: -1 }, /^idleTimeout: /],
    [{ idleTimeout: "20m", touchAfter: "20m" }, /^touchAfter: expected less than idleTimeout/],
    [{ touchAfter: "1m" }, /^touchAfter: expected less than idleTimeout/],
    [{ hashTokens: 1 }, /^hashTokens: expected a boolean, got /],
    [{ codec: {} }, /^codec: expected an object with the functions encode and decode, got an object$/],
    [{ codec: "json" }, /^codec: /],
    [{ maxBytes: 0 }, /^maxBytes: expected a number from 1/],
    [{ maxBytes: Number.NaN }, /^maxBytes: /],
    [{ maxBytes: "1mb" }, /^maxBytes: /],
    [{ onError: "log" }, /^onError: expected a function, got /],
    [{ idletimeout: "20m" }, /^idletimeout: there is no such option/],
    [{ cookie: null }, /^cookie: expected an object, got null$/],
    [{ cookie: { samesite: "lax" } }, /^cookie\.samesite: there is no such option/],
    [{ cookie: { name: "" } }, /^cookie\.name: /],
    [{ cookie: { name: "a b" } }, /^cookie\.name: /],
    [{ cookie: { name: "a=b" } }, /^cookie\.name: /],
    [{ cookie: { name: "ключ" } }, /^cookie\.name: /],
    [{ cookie: { name: "n".repeat(4054) } }, /^cookie\.name: expected a name that browsers accept/],
    [{ cookie: { path: "in" } }, /^cookie\.path: /],
    [{ cookie: { path: "/;x" } }, /^cookie\.path: /],
    [{ cookie: { path: `/${"p".repeat(1024)}` } }, /^cookie\.path: /],
    [{ cookie: { domain: "a b" } }, /^cookie\.domain: /],
    [{ cookie: { domain: "a.example; Secure" } }, /^cookie\.domain: /],
    [{ cookie: { secure: "yes" } }, /^cookie\.secure: /],
    [{ cookie: { httpOnly: 0 } }, /^cookie\.httpOnly: /],
    [{ cookie: { sameSite: "Lax" } }, /^cookie\.sameSite: /],
    [{ cookie: { partitioned: "yes" } }, /^cookie\.partitioned: /],
    [{ cookie: { persist: "yes" } }, /^cookie\.persist: /],
    [{ cookie: { prefix: "__Https-" } }, /^cookie\.prefix: /],
    [{ cookie: { prefix: "__Http-", httpOnly: false } }, /^cookie\.httpOnly: /],
    [{ cookie: { name: "__HTTP-x", httpOnly: false } }, /^cookie\.httpOnly: /],
    [{ cookie: { name: "__http-x", secure: false } }, /^cookie\.secure: /],
    [{ cookie: { prefix: "__Host-Http-", httpOnly: false } }, /^cookie\.httpOnly: /],
    [{ cookie: { prefix: "__Host-Http-", domain: "example.org" } }, /^cookie\.domain: /],
    [{ cookie: { prefix: "__Host-Http-", path: "/in" } }, /^cookie\.path: /],
    [{ cookie: { name: "__host-http-x", secure: false } }, /^cookie\.secure: /],
    [{ cookie: { previous: {} } }, /^cookie\.previous: expected an array/],
    [{ cookie: { previous: [null] } }, /^cookie\.previous\[0\]: expected an object/],
    [{ cookie: { previous: [{ path: "/a" }, { host: "x" }] } }, /^cookie\.previous\[1\]\.host: /],
    [{ cookie: { previous: [{ path: "a" }] } }, /^cookie\.previous\[0\]\.path: /],
    [{ cookie: { previous: [{ domain: "a b" }] } }, /^cookie\.previous\[0\]\.domain: /],
    [{ cookie: { previous: [{}] } }, /^cookie\.previous\[0\]: expected an earlier domain and path/],
    [{ cookie: { domain: "a.example", previous: [{ domain: ".A.example" }] } }, /^cookie\.previous\[0\]: /],
    [{ cookie: { domain: "a.example", partitioned: true, previous: [{ domain: "a.example" }] } }, /^cookie\.previous/],
    [{ cookie: { prefix: "__Host-", previous: [{ path: "/in" }] } }, /^cookie\.previous: /],
    [
      { cookie: { sameSite: "none", secure: false } },
      /^cookie\.secure: expected true or "auto" with sameSite: "none", got false$/,
    ],
    [
      { cookie: { partitioned: true, secure: false } },
      /^cookie\.secure: expected true or "auto" with partitioned: true, got false$/,
    ],
    [{ cookie: { prefix: "__Host-", secure: false } }, /^cookie\.secure: /],
    [{ cookie: { prefix: "__Secure-", secure: false } }, /^cookie\.secure: /],
    [{ cookie: { prefix: "__Host-", domain: "example.org" } }, /^cookie\.domain: /],
    [{ cookie: { prefix: "__Host-", path: "/in" } }, /^cookie\.path: /],
    [{ cookie: { name: "__HOST-x", domain: "example.org" } }, /^cookie\.domain: /],
    [{ cookie: { name: "__host-x", secure: false } }, /^cookie\.secure: /],
    [{ cookie: { name: "__secure-x", secure: false } }, /^cookie\.secure: /],
  ];
  for (const [options, message] of wrong) {
    it(`refuses ${inspect(options).slice(0, 60)}`, () => {
      expect(() => new SessionManager(store, options as SessionOptions)).toThrow(TypeError);
      expect(() => new SessionManager(store, options as SessionOptions)).toThrow(message);
    });
  }

  it("takes what is right, fills in the defaults and leaves the caller's object alone", () => {
    const given: SessionOptions = Object.freeze({ idleTimeout: "20m", cookie: Object.freeze({ prefix: "__Host-" }) });
    expect(new SessionManager(store, given).options).toMatchObject({
      lifetime: 86_400_000,
      idleTimeout: 1_200_000,
      touchAfter: 60_000,
      hashTokens: true,
      persist: false,
      secure: true,
      cookie: {
        name: "__Host-session",
        path: "/",
        domain: undefined,
        httpOnly: true,
        sameSite: "lax",
        partitioned: false,
      },
    });
    const none = new SessionManager(store, { cookie: { sameSite: "none", secure: undefined as never } });
    expect(none.options.secure).toBe(true);
    expect(new SessionManager(store).options.secure).toBe("auto");
    expect(new SessionManager(store, { cookie: { prefix: "__Host-", name: "__Host-x" } }).options.cookie.name).toBe(
      "__Host-x",
    );
    const path = `/${"p".repeat(1023)}`;
    for (const each of ["", path]) {
      expect(new SessionManager(store, { cookie: { path: each } }).options.cookie.path).toBe(each);
    }
    expect(new SessionManager(store, { lifetime: "30 days", idleTimeout: "30 days" }).options.idleTimeout).toBe(
      2_592_000_000,
    );
  });
});

describe("options that are undefined", () => {
  it("are as if they were left out, also for the types of exactOptionalPropertyTypes", async () => {
    const none = undefined;
    const sent: string[] = [];
    const recording = { query: async (text: string) => (sent.push(text), { rows: [] }) };
    const cookie = {
      name: none,
      path: none,
      domain: none,
      secure: none,
      httpOnly: none,
      sameSite: none,
      partitioned: none,
      persist: none,
      prefix: none,
      previous: none,
    } satisfies Required<{ [Key in keyof CookieOptions]: undefined }>;
    const session = {
      lifetime: none,
      idleTimeout: none,
      touchAfter: none,
      cookie,
      transport: none,
      lazy: none,
      trustProxy: none,
      hashTokens: none,
      scope: none,
      codec: none,
      schema: none,
      onInvalid: none,
      maxBytes: none,
      maxSessionsPerUser: none,
      recordIp: none,
      recordUserAgent: none,
      onError: none,
      onLogin: none,
      onEnd: none,
    } satisfies Required<{ [Key in keyof SessionOptions]: unknown }>;
    const postgres = {
      cleanupInterval: none,
      endedGrace: none,
      table: none,
      schema: none,
      queryTimeout: none,
      batch: { rows: none, statements: none, waiting: none },
      prepare: none,
      onError: none,
    } satisfies Required<{ [Key in keyof PgStoreOptions]: unknown }>;
    const store = new PgStore(db, postgres);
    const theirs = { ttl: none, userOf: none, layout: none, table: none };
    const stores = [
      store,
      new MemoryStore({ cleanupInterval: none, endedGrace: none, now: none }),
      new ExpressSessionStore({ ...theirs, pool: none, store }),
      new ExpressSessionStore({ ...theirs, pool: db, store: none }),
    ];
    expect(store.queryTimeout).toBe(new PgStore(db, { cleanupInterval: 0 }).queryTimeout);
    const foreign = { ...theirs, layout: "connect-pg-simple", table: none, pool: recording } as const;
    await new ExpressSessionStore({ ...foreign, cleanupInterval: 0 }).get("a").catch(() => {});
    expect(sent.join()).toContain('FROM "session" s');
    const { options } = new SessionManager(store, session);
    const plain = new SessionManager(store).options;
    expect(JSON.stringify(options)).toBe(JSON.stringify(plain));
    for (const one of stores) if ("stopCleanup" in one) one.stopCleanup();
  });
});

describe("manage", () => {
  const engine = new MemoryStore({ cleanupInterval: 0 });
  it("refuses wrong options", () => {
    expect(() => manage(engine, { lifetime: -1 })).toThrow(/^lifetime: /);
    expect(() => manage(engine, { contextName: "" })).toThrow(/^contextName: /);
    expect(() => manage(engine, { errorFunc: 1 as never })).toThrow(/^errorFunc: /);
    expect(() => manage(engine, { cookieName: "a b" })).toThrow(/^cookie\.name: /);
    expect(() => manage(engine, { idletimeout: 1 } as never)).toThrow(/^idletimeout: there is no such option/);
  });
});

describe("ExpressSessionStore", () => {
  const store = new MemoryStore({ cleanupInterval: 0 });
  const pool = { query: async () => ({ rows: [] }) };
  const wrong: [options: object | undefined, message: RegExp][] = [
    [undefined, /^store, pool: expected one of the two, got neither$/],
    [{}, /^store, pool: expected one of the two, got neither$/],
    [{ store, pool }, /^pool: /],
    [{ store: {} }, /^store: expected an object with the functions find, save and delete/],
    [{ pool: {} }, /^db: /],
    [{ store, table: "session" }, /^table: cannot be combined with store/],
    [{ store, layout: "connect-pg-simple" }, /^layout: cannot be combined with store/],
    [{ pool, layout: "connect-redis" }, /^layout: expected/],
    [{ pool, ttl: 0 }, /^ttl: /],
    [{ pool, ttl: "soon" }, /^ttl: /],
    [{ pool, tableName: "session" }, /^tableName: there is no such option/],
    [{ pool, endedGrace: -1 }, /^endedGrace: /],
    [{ pool, userOf: "user" }, /^userOf: expected a function, got /],
  ];
  for (const [options, message] of wrong) {
    it(`refuses ${options === undefined ? "nothing" : JSON.stringify(Object.keys(options))}: ${message.source}`, () => {
      expect(() => new ExpressSessionStore(options as never)).toThrow(message);
      expect(() => new ExpressSessionStore(options as never)).toThrow(TypeError);
    });
  }

  it("says what it lacks for the sessions of a user, and to list sessions", async () => {
    const bare = { find: async () => undefined, save: async () => {}, delete: async () => {} };
    await expect(new ExpressSessionStore({ store }).listByUser("ada")).rejects.toThrow(
      /^userOf: expected a function, got undefined/,
    );
    const poor = new ExpressSessionStore({ store: bare, userOf: () => "ada" });
    for (const asked of [poor.destroyByUser("ada"), poor.all(), poor.length(), poor.clear()]) {
      await expect(asked).rejects.toThrow(/^store: expected a store with all\(\)/);
    }
  });
});

describe("the options of a call", () => {
  const id = "i".repeat(43);
  const bytes = new Uint8Array(1);
  const at = new Date(Date.now() + 60_000);
  const [pgStore, memory] = [new PgStore(db, { cleanupInterval: 0 }), new MemoryStore()];
  const manager = new SessionManager(memory);
  const calls: [name: string, call: (options: never) => unknown, others: string][] = [
    ["find", (options) => pgStore.find(id, options), ""],
    ["save", (options) => pgStore.save(id, bytes, at, options), ""],
    ["upsert", (options) => pgStore.upsert(id, bytes, at, options), ""],
    ["update", (options) => pgStore.update(id, bytes, at, options), ""],
    ["end", (options) => pgStore.end(id, options), ""],
    ["delete", (options) => pgStore.delete(id, options), ""],
    ["replace", (options) => pgStore.replace(id, bytes, bytes, at, options), ""],
    ["setExpiry", (options) => pgStore.setExpiry(id, at, options), ""],
    ["create", (options) => pgStore.create(id, bytes, at, options), ", owner"],
    ["renew", (options) => pgStore.renew(id, id, bytes, bytes, at, options), ", owner"],
    ["touch", (options) => pgStore.touch(id, at, options), ", unchanged"],
    ["all", async (options) => pgStore.all(options), ""],
    ["create in memory", (options) => memory.create(id, bytes, at, options), ", owner"],
    ["renew in memory", (options) => memory.renew(id, id, bytes, bytes, at, options), ", owner"],
    ["touch in memory", (options) => memory.touch(id, at, options), ", unchanged"],
  ];
  it.each(calls)("%s refuses unknown ones and a wrong signal", async (_, call, others) => {
    const unknown = `singal: there is no such option, expected signal${others}`;
    await expect(call({ singal: AbortSignal.abort() } as never)).rejects.toThrow(new TypeError(unknown));
    const wrong = new TypeError('signal: expected an AbortSignal, got "now"');
    await expect(call({ signal: "now" } as never)).rejects.toThrow(wrong);
  });

  it("manager.commit refuses unknown ones", async () => {
    const session = await manager.load(undefined);
    const unknown = "sael: there is no such option, expected tls, seal, refresh";
    await expect(manager.commit(session, { sael: true } as never)).rejects.toThrow(new TypeError(unknown));
  });
});
