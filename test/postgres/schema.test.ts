import { fork } from "node:child_process";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PgClient, PgStore, SchemaError, StoreError } from "../../src/index.ts";
import { USER_COLUMNS } from "../../src/lib/postgres/sql/tables.ts";
import { bundleOf } from "../support/bundle.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";

let database: TestDatabase;
let db: ReturnType<TestDatabase["pool"]>;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  db = database.pool({ max: 10 });
});
afterAll(() => database.drop());

const soon = (): Date => new Date(Date.now() + 60_000);
const data = new Uint8Array([1, 2, 3]);
const open = (table: string, schema?: string): PgStore =>
  new PgStore(db, { cleanupInterval: 0, table, ...(schema === undefined ? {} : { schema }) });

describe("PgStore.migrate", () => {
  it("creates the table and index of SCS, and does nothing when they are there", async () => {
    const store = open("sessions");
    expect(await store.check()).toHaveLength(1);
    await store.migrate();
    await store.migrate();
    expect(await store.check()).toEqual([]);
    const { rows } = await db.query("SELECT indexname FROM pg_indexes WHERE tablename = 'sessions' ORDER BY 1");
    expect(rows.map(({ indexname }) => indexname)).toEqual([
      "sessions_expiry_idx",
      "sessions_pkey",
      "sessions_tags_idx",
      "sessions_user_id_created_token_idx",
    ]);
    const tables = await db.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
    expect(tables.rows.map(({ tablename }) => tablename)).toEqual(["sessions", "sessions_history", "sessions_users"]);
  });

  it("is satisfied with the README's SQL", async () => {
    await db.query("CREATE TABLE by_hand (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)");
    await db.query("CREATE INDEX by_hand_expiry_idx ON by_hand (expiry)");
    const store = open("by_hand");
    expect(await store.check()).toEqual([]);
    await store.migrate();
    const { rows } = await db.query("SELECT count(*)::int AS n FROM pg_indexes WHERE tablename = 'by_hand'");
    expect(rows).toEqual([{ n: 4 }]);
  });

  it("adds the index to a table that lacks it", async () => {
    await db.query("CREATE TABLE no_index (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)");
    const store = open("no_index");
    expect(await store.check()).toEqual([expect.stringMatching(/expiry .* has no index: CREATE INDEX ON "no_index"/)]);
    await store.migrate();
    expect(await store.check()).toEqual([]);
  });

  it("takes any name as it is, and keeps the tables of one schema apart", async () => {
    const names = [
      'quo"te',
      "dot.ted",
      "Capital",
      "capital",
      "x'; DROP TABLE sessions; --",
      'a"; DROP TABLE sessions; --',
      "semi; colon",
      "back\\slash",
      "$$ END $$",
      "ключ 键 🔑",
      "n".repeat(63),
      `${"n".repeat(62)}m`,
      "select",
    ];
    for (const name of names) {
      const store = open(name);
      await store.migrate();
      expect(await store.check(), name).toEqual([]);
      expect(await store.create("t", new TextEncoder().encode(name), soon()), name).toBe(true);
    }
    for (const name of names) {
      const found = await open(name).find("t");
      expect(new TextDecoder().decode(found?.data)).toBe(name);
    }
    expect(await open("sessions").check()).toEqual([]);
  });

  it("creates the schema, whatever its name", async () => {
    for (const schema of ["app", 'sch"ema."x', "it's"]) {
      const store = open('ta"ble', schema);
      await store.migrate();
      await store.migrate();
      await store.save("t", data, soon());
      expect(await store.find("t"), schema).toBeDefined();
      expect(await open('ta"ble', "app").check()).toEqual([]);
    }
  });

  it("does not mistake an index of another table for its own", async () => {
    await db.query("CREATE TABLE other (expiry timestamptz)");
    await db.query("CREATE INDEX shared_expiry_idx ON other (expiry)");
    const store = open("shared");
    await store.migrate();
    expect(await store.check()).toEqual([]);
  });

  it("leaves a table alone that belongs to another program", async () => {
    await db.query("CREATE TABLE not_ours (id int)");
    const store = open("not_ours");
    await expect(store.migrate()).rejects.toThrow(SchemaError);
    await expect(store.migrate()).rejects.toThrow(/"not_ours" has no column token/);
    const { rows } = await db.query(
      "SELECT attname FROM pg_attribute WHERE attrelid = 'not_ours'::regclass AND attnum > 0",
    );
    expect(rows).toEqual([{ attname: "id" }]);
  });

  it.each(["user_id integer", "created text", "ip inet"])(
    "leaves a table alone whose columns are the application's: %s",
    async (column) => {
      const table = `own ${column}`;
      await db.query(
        `CREATE TABLE "${table}" (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL, ${column})`,
      );
      const [name = ""] = column.split(" ");
      await expect(open(table).migrate()).rejects.toThrow(`column ${name} of table "${table}" is`);
      const { rows } = await db.query(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum",
        [`"${table}"`],
      );
      expect(rows.map(({ attname }) => attname)).toEqual(["token", "data", "expiry", name]);
    },
  );

  it("does without users where the role is not the table's owner, as nothing else was missing", async () => {
    const role = `visitor_${Math.random().toString(36).slice(2)}`;
    const administrator = database.admin({ max: 1 });
    await administrator.query(
      `CREATE ROLE ${role}; CREATE TABLE foreign_one (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
       CREATE INDEX ON foreign_one (expiry); GRANT SELECT, INSERT, UPDATE, DELETE ON foreign_one TO ${role}; SET ROLE ${role}`,
    );
    const store = new PgStore(administrator, { cleanupInterval: 0, table: "foreign_one" });
    await store.migrate();
    expect(await store.create("t", data, soon())).toBe(true);
    await administrator.query(`RESET ROLE; DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  it("makes what it adds where the table is, not where the search path begins", async () => {
    const administrator = database.admin({ max: 1 });
    await administrator.query("CREATE SCHEMA nearer; SET search_path = nearer, public");
    await administrator.query(
      "CREATE TABLE public.found (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)",
    );
    const store = new PgStore(administrator, { cleanupInterval: 0, table: "found" });
    await store.migrate();
    await store.migrate();
    const { rows } = await administrator.query(
      "SELECT schemaname, tablename FROM pg_tables WHERE tablename LIKE 'found%' ORDER BY 2",
    );
    expect(rows).toEqual(
      ["found", "found_history", "found_users"].map((tablename) => ({ schemaname: "public", tablename })),
    );
    expect(await store.create("t", data, soon(), { owner: { userId: "alice" } })).toBe(true);
  });

  it("makes again what somebody has dropped of it, as check says", async () => {
    const store = open("halved");
    await store.migrate();
    await db.query("DROP TABLE halved_users");
    expect(await store.check()).toEqual(['table "halved_users" does not exist: run store.migrate()']);
    await store.migrate();
    expect(await store.check()).toEqual([]);
  });

  it("lets the table's owner write what another role has added", async () => {
    const owner = `owner_${Math.random().toString(36).slice(2)}`;
    const administrator = database.admin({ max: 1 });
    await administrator.query(`CREATE ROLE ${owner}; GRANT ALL ON SCHEMA public TO ${owner}`);
    await administrator.query(
      `CREATE TABLE theirs (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
       ALTER TABLE theirs OWNER TO ${owner}`,
    );
    await new PgStore(administrator, { cleanupInterval: 0, table: "theirs" }).migrate();
    await administrator.query(`SET ROLE ${owner}`);
    const theirs = new PgStore(administrator, { cleanupInterval: 0, table: "theirs" });
    expect(await theirs.create("t", data, soon(), { owner: { userId: "alice" } })).toBe(true);
    expect(await theirs.users?.end("alice", [])).toEqual(["t"]);
    await administrator.query(`RESET ROLE; DROP OWNED BY ${owner}; DROP ROLE ${owner}`);
  });

  it("may run from 10 processes at once", async () => {
    const script = await bundleOf(new URL("migrate-process.ts", import.meta.url));
    const children = Array.from({ length: 10 }, () => {
      const child = fork(script, {
        env: { ...process.env, APP_DATABASE_URL: database.url },
      });
      const ready = new Promise<void>((resolve, reject) => {
        child.once("message", () => resolve());
        child.once("exit", (code) => reject(new Error(`a process ended with code ${code}`)));
      });
      const done = new Promise<number | null>((resolve) => child.once("exit", resolve));
      return { child, ready, done };
    });
    await Promise.all(children.map(({ ready }) => ready));
    for (const { child } of children) child.send("go");
    expect(await Promise.all(children.map(({ done }) => done))).toEqual(children.map(() => 0));
    expect(await open("at once", "new schema").check()).toEqual([]);
  }, 120_000);

  it.each(["repeatable read", "serializable"])(
    "makes each index once when transactions are %s by default",
    async (level) => {
      const table = `once ${level}`;
      const pools = Array.from({ length: 6 }, () =>
        database.pool({ max: 1, options: `-c default_transaction_isolation=${level.replace(" ", "\\ ")}` }),
      );
      await Promise.all(pools.map((pool) => pool.query("SELECT 1")));
      await Promise.all(pools.map((pool) => new PgStore(pool, { cleanupInterval: 0, table }).migrate()));
      const { rows } = await db.query("SELECT count(*)::int AS n FROM pg_index WHERE indrelid = to_regclass($1)", [
        `"${table}"`,
      ]);
      expect(rows).toEqual([{ n: 4 }]);
    },
  );

  it("is not held up by locks that any role may take", async () => {
    const client = await db.connect();
    try {
      await client.query("SELECT pg_advisory_lock(hashtext('pgstore'), hashtext('migrate'))");
      await open("held").migrate();
      // Where nothing is missing it waits for nobody.
      await client.query('BEGIN; LOCK TABLE "held" IN ACCESS EXCLUSIVE MODE');
      await expect(open("held").migrate()).resolves.toBe(undefined);
      await client.query("ROLLBACK; SELECT pg_advisory_unlock_all()");
    } finally {
      client.release();
    }
  });

  /** Resolves when as many statements of the pool are in such a state. */
  const waiting = (condition: string, count = 1): Promise<void> =>
    expect
      .poll(async () => {
        const sql = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${condition}`;
        return (await db.query(sql)).rowCount;
      })
      .toBe(count);
  const fill = async (table: string): Promise<void> => {
    await db.query(`CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)`);
  };
  const indexesOf = async (table: string): Promise<unknown> =>
    (await db.query("SELECT count(*)::int AS n FROM pg_index WHERE indrelid = to_regclass($1)", [table])).rows[0];

  it("waits for an index that another process is making, without a lock that others would wait for", async () => {
    await fill("large");
    const [writer, maker] = await Promise.all([db.connect(), db.connect()]);
    try {
      await writer.query("BEGIN; INSERT INTO large VALUES ('t', 'x', current_timestamp)");
      const made = maker.query("CREATE INDEX CONCURRENTLY ON large (expiry)");
      await waiting("wait_event_type = 'Lock'");
      let attempts = 0;
      const counting = {
        query: (text: string, values?: unknown[]) => db.query(text, values).finally(() => attempts++),
      };
      const waiters = async (): Promise<unknown> =>
        (await db.query("SELECT FROM pg_locks WHERE relation = 'large'::regclass AND NOT granted")).rowCount;
      const stores = [1, 2].map(() => new PgStore(counting, { table: "large", cleanupInterval: 0 }));
      const migrated = Promise.all(stores.map((store) => store.migrate()));
      await expect.poll(async () => attempts >= 2 || (await waiters()) !== 0).toBe(true);
      expect(await waiters()).toBe(0);
      await writer.query("COMMIT");
      await Promise.all([made, migrated]);
      expect(await indexesOf("large")).toEqual({ n: 4 });
    } finally {
      writer.release();
      maker.release();
    }
  });

  it("finds what another process has made while it waited for its lock", async () => {
    await fill("taken");
    const maker = await db.connect();
    try {
      await maker.query("BEGIN; CREATE INDEX ON taken (expiry)");
      const migrated = open("taken").migrate();
      await waiting("wait_event_type = 'Lock'");
      await maker.query("COMMIT");
      await migrated;
      expect(await indexesOf("taken")).toEqual({ n: 4 });
    } finally {
      maker.release();
    }
  });

  it("makes an index anew whose making was broken off", async () => {
    await fill("broken");
    await db.query("CREATE INDEX broken_expiry_idx ON broken (expiry)");
    await db.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken_expiry_idx'::regclass");
    expect((await open("broken").check()).join()).toMatch(/broken_expiry_idx .* is not valid/);
    await open("broken").migrate();
    expect(await open("broken").check()).toEqual([]);
    expect(await indexesOf("broken")).toEqual({ n: 4 });
  });

  it("sets a limit for each lock, and a search path, before it changes anything", async () => {
    await db.query(`CREATE TABLE seen (at serial, limits text);
      CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.seen (limits) VALUES (current_setting('lock_timeout') || ' ' || current_setting('search_path')); END $$;
      CREATE EVENT TRIGGER see ON ddl_command_start EXECUTE FUNCTION see()`);
    try {
      await open("limited", "of its own").migrate();
    } finally {
      await db.query("DROP EVENT TRIGGER see");
    }
    const { rows } = await db.query("SELECT DISTINCT limits FROM seen");
    expect(rows).toEqual([{ limits: "5s pg_catalog, pg_temp" }]);
  });

  it("leaves a transaction of the application's as it was, and says so where it can't run in it", async () => {
    const client = await db.connect();
    try {
      const store = new PgStore(client, { cleanupInterval: 0, table: "inside" });
      await client.query("BEGIN; SET LOCAL lock_timeout = '7s'");
      await store.migrate();
      const { rows } = await client.query(
        "SELECT current_setting('lock_timeout') || current_setting('search_path') AS s",
      );
      expect(rows).toEqual([{ s: '7s"$user", public' }]);
      await client.query("COMMIT");
      expect(await store.check()).toEqual([]);
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      await expect(store.migrate()).rejects.toThrow(/^migrate: expected READ COMMITTED/);
      await client.query("ROLLBACK");
    } finally {
      client.release();
    }
  });

  it("works as a role whose name has to be quoted", async () => {
    const administrator = database.admin({ max: 1 });
    const name = `App-"Owner" ${Math.random().toString(36).slice(2)}`;
    const role = `"${name.replaceAll('"', '""')}"`;
    await administrator.query(`CREATE ROLE ${role}; CREATE SCHEMA mixed AUTHORIZATION ${role}; SET ROLE ${role}`);
    const store = new PgStore(administrator, { cleanupInterval: 0, schema: "mixed" });
    await store.migrate();
    expect(await store.check()).toEqual([]);
    await administrator.query(`RESET ROLE; DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  });

  it("works on PGlite", async () => {
    const lite = await openPglite();
    const store = new PgStore(lite, { cleanupInterval: 0, table: 'a"b', schema: "s.t" });
    await Promise.all([store.migrate(), store.migrate(), store.migrate()]);
    expect(await store.check()).toEqual([]);
    await lite.close();
  });
});

describe("PgStore.check", () => {
  it("lists every difference", async () => {
    await db.query(
      `CREATE TABLE differs (token varchar(43), data text, expiry timestamp NOT NULL,
        tenant int NOT NULL, note text, made timestamptz NOT NULL DEFAULT now())`,
    );
    expect(await open("differs").check()).toEqual([
      expect.stringMatching(/^column token of table "differs" is character varying\(43\), not text/),
      expect.stringMatching(/^column token of table "differs" may be null/),
      expect.stringMatching(/^column data of table "differs" is text, not bytea/),
      expect.stringMatching(/^column data of table "differs" may be null/),
      expect.stringMatching(/^column expiry of table "differs" is timestamp without time zone/),
      expect.stringMatching(/^column token of table "differs" is not unique/),
      expect.stringMatching(/^column expiry of table "differs" has no index/),
      expect.stringMatching(/^column tenant of table "differs" is NOT NULL without a default/),
    ]);
    expect(await open("absent").check()).toEqual([
      expect.stringMatching(/^table "absent" does not exist: run store.migrate/),
    ]);
  });
});

describe("PgStore.check of what migrate has made", () => {
  /** Each in a table of its own: what somebody does, and what is said then. */
  const drifts: [string, string, RegExp][] = [
    [
      "a column is dropped",
      "ALTER TABLE t DROP COLUMN ip",
      /^table "t" has a column user_id and no column ip: run store.migrate/,
    ],
    [
      "the columns are dropped",
      `ALTER TABLE t ${USER_COLUMNS.map(({ name }) => `DROP COLUMN ${name}`).join(", ")}`,
      /^table "t" has no column user_id, though there is a table "t_users": run store.migrate/,
    ],
    [
      "a column of a companion must be filled",
      "ALTER TABLE t_users ADD COLUMN tenant int NOT NULL",
      /^column tenant of table "t_users" is NOT NULL without a default: give it a default/,
    ],
    [
      "a time of a user must be filled",
      "ALTER TABLE t_users ALTER COLUMN revoked SET NOT NULL",
      /^column revoked of table "t_users" is NOT NULL without a default: give it a default/,
    ],
    [
      "a column of a companion is dropped",
      "ALTER TABLE t_history DROP COLUMN took",
      /^table "t_history" has no column took: run/,
    ],
    [
      "a column has another type",
      "ALTER TABLE t_users ALTER COLUMN revoked TYPE text",
      /^column revoked of table "t_users" is text, not/,
    ],
    [
      "a key is dropped",
      "ALTER TABLE t_users DROP CONSTRAINT t_users_pkey",
      /^column user_id of table "t_users" is not unique: ALTER/,
    ],
    [
      "an index is dropped",
      "DROP INDEX t_user_id_created_token_idx",
      /^column user_id of table "t" has no index: run store.migrate/,
    ],
    [
      "an index is there twice",
      "CREATE INDEX again ON t (expiry)",
      /^index again of table "t" duplicates t_expiry_idx /,
    ],
    ["a key is there twice", "CREATE INDEX again ON t (token)", /^index again of table "t" duplicates t_pkey /],
    [
      "an index was broken off",
      "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_expiry_idx'::regclass",
      /has no index/,
    ],
    ["a right is lost", "REVOKE UPDATE ON t FROM ROLE", /lacks UPDATE on table "t": GRANT UPDATE ON "t" TO/],
    [
      "a right on users is lost",
      "REVOKE INSERT, DELETE ON t_users FROM ROLE",
      /lacks INSERT, DELETE on table "t_users": GRANT/,
    ],
    [
      "a right on the history is lost",
      "REVOKE SELECT ON t_history FROM ROLE",
      /lacks SELECT on table "t_history": GRANT/,
    ],
    [
      "a right on a column is lost",
      "REVOKE UPDATE ON t FROM ROLE; GRANT UPDATE (expiry) ON t TO ROLE",
      /lacks UPDATE on table "t"/,
    ],
  ];
  const role = `checking_${Math.random().toString(36).slice(2)}`;
  it.each(drifts)("says so when %s", async (_, drift, expected) => {
    const administrator = database.admin({ max: 1 });
    await administrator.query(
      `CREATE ROLE ${role}; CREATE SCHEMA drift AUTHORIZATION ${role}; SET search_path = drift; SET ROLE ${role}`,
    );
    const store = new PgStore(administrator, { cleanupInterval: 0, table: "t" });
    try {
      await store.migrate();
      expect(await store.check()).toEqual([]);
      await administrator.query("RESET ROLE");
      await administrator.query(drift.replaceAll("ROLE", role));
      await administrator.query(`SET ROLE ${role}`);
      expect(await store.check()).toContainEqual(expect.stringMatching(expected));
      await administrator.query("RESET ROLE");
      // Rights and schemas are not for migrate, nor what somebody has added.
      if (/^(?:ALTER TABLE t DROP|DROP INDEX|UPDATE)|took/.test(drift)) {
        await store.migrate();
        expect(await store.check()).toEqual([]);
      }
    } finally {
      await administrator.query(`RESET ROLE; DROP SCHEMA drift CASCADE; DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});

describe("an error of the database", () => {
  it("shows neither token nor data, wherever one looks", async () => {
    const lite = await openPglite();
    for (const client of [db, lite] as PgClient[]) {
      const store = new PgStore(client, { cleanupInterval: 0, table: "checked" });
      await store.migrate();
      await client.query("ALTER TABLE checked ADD CONSTRAINT small CHECK (length(data) < 10)");
      const secret = new TextEncoder().encode("a secret of many bytes");
      const error: unknown = await store.save("secret_token", secret, soon()).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StoreError);
      const shown = inspect(error, { depth: 20, showHidden: true });
      expect(shown).toContain("23514");
      for (const hidden of [
        "secret_token",
        "a secret",
        Buffer.from(secret).toString("hex"),
        Buffer.from(secret).toString("base64"),
      ]) {
        expect(shown).not.toContain(hidden);
      }
    }
    await lite.close();
  });
});

describe("a table that is not as it should be", () => {
  const calls: Record<string, (store: PgStore) => Promise<unknown>> = {
    find: (store) => store.find("t"),
    save: (store) => store.save("t", data, soon()),
    create: (store) => store.create("t", data, soon()),
    replace: (store) => store.replace("t", data, data, soon()),
    renew: (store) => store.renew("t", "u", data, data, soon()),
    touch: (store) => store.touch("t", soon()),
    deleteExpired: (store) => store.deleteExpired(),
    all: (store) => store.all().next(),
  };
  const tables: Record<string, string | undefined> = {
    "that is missing": undefined,
    "without a column": "(token text PRIMARY KEY, data bytea NOT NULL)",
    "whose data is text": "(token text PRIMARY KEY, data text NOT NULL, expiry timestamptz NOT NULL)",
    "whose data is jsonb": "(token text PRIMARY KEY, data jsonb NOT NULL, expiry timestamptz NOT NULL)",
    "whose token is uuid": "(token uuid PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL)",
    "whose token is integer": "(token int PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL)",
    "whose expiry has no time zone": "(token text PRIMARY KEY, data bytea NOT NULL, expiry timestamp NOT NULL)",
    "whose expiry is a number": "(token text PRIMARY KEY, data bytea NOT NULL, expiry bigint NOT NULL)",
  };
  for (const [name, columns] of Object.entries(tables)) {
    it(`${name}: SchemaError that names it and says what to do`, async () => {
      const table = `wrong ${name}`;
      if (columns !== undefined) await db.query(`CREATE TABLE "${table}" ${columns}`);
      const store = open(table);
      for (const [call, run] of Object.entries(calls)) {
        const error = await run(store).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error, call).toBeInstanceOf(SchemaError);
        expect((error as SchemaError).message, call).toContain(`"${table}"`);
        expect((error as SchemaError).message, call).toContain("npx pgstore migrate");
        expect((error as SchemaError).message, call).toContain("CREATE TABLE");
      }
      if (columns !== undefined) {
        const { rows } = await db.query(`SELECT count(*)::int AS n FROM "${table}"`);
        expect(rows).toEqual([{ n: 0 }]);
      }
    });
  }

  it("works again once it is there: no failure is remembered", async () => {
    const store = open("made later");
    await expect(store.find("t")).rejects.toThrow(SchemaError);
    await store.migrate();
    expect(await store.find("t")).toBe(undefined);
  });
});
