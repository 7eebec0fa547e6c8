import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PgStore } from "../../src/index.ts";
import { pgstore } from "../cli/run.ts";
import { pack, type Packed, run } from "../package/tarball.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { environment } from "../support/undertaker.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Scripts of the packages build native modules, which nothing here needs. */
const NPM = ["install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
const TABLES = ["sessions", "sessions_history", "sessions_users"];

let packed: Packed;
let folder: string;
beforeAll(async () => {
  packed = await pack();
  folder = join(dirname(packed.tarball), "orms");
  const isSource = (path: string): boolean => !/[\\/](?:node_modules|package-lock\.json)$/.test(path);
  cpSync(join(root, "test/apps/orms"), folder, { recursive: true, filter: isSource });
  const file = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as { dependencies: Record<string, string> };
  manifest.dependencies["pgstore"] = `file:${packed.tarball}`;
  writeFileSync(file, JSON.stringify(manifest));
  await run("npm", NPM, folder);
}, 300_000);
afterAll(() => packed?.remove());

let database: TestDatabase;
beforeEach(async ({ onTestFinished }) => {
  database = await createDatabase({ template: false });
  onTestFinished(() => database.drop());
});

/** Runs a program of the folder on the database. */
function program(...args: string[]): Promise<string> {
  return run(process.execPath, args, folder, { ...environment(), DATABASE_URL: database.url });
}

/** Makes pgstore's tables, with a session, and a table of the application's. */
async function fill(schema?: string): Promise<void> {
  const pool = database.pool({ max: 1 });
  const store = new PgStore(pool, { schema, cleanupInterval: 0 });
  await store.migrate();
  await store.save("id", new Uint8Array([7]), new Date(Date.now() + 60_000));
  await store.close();
  await pool.query("CREATE TABLE accounts (id text PRIMARY KEY)");
}

async function tables(schema = "public"): Promise<string[]> {
  const { rows } = await database
    .pool({ max: 1 })
    .query<{ name: string }>(
      "SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = $1::regnamespace ORDER BY 1",
      [schema],
    );
  return rows.map(({ name }) => name);
}

/** Writes the schema as `npx pgstore schema` prints it. */
async function print(file: string, ...args: string[]): Promise<string> {
  const { code, out } = await pgstore("schema", ...args);
  expect(code).toBe(0);
  writeFileSync(join(folder, file), out);
  return file;
}

describe("drizzle-kit push", () => {
  const accounts = `import { pgTable, text } from "drizzle-orm/pg-core";
export const accounts = pgTable("accounts", { id: text("id").primaryKey() });
`;
  /** With a table that a push makes, which shows that it has pushed. */
  const added = `${accounts}export const added = pgTable("added", { id: text("id").primaryKey() });\n`;

  /** Pushes without a terminal, on which it would ask before it drops a table with rows. */
  async function push(schema: string[], options: object = {}, app = added): Promise<string> {
    writeFileSync(join(folder, "app.ts"), app);
    const config = { dialect: "postgresql", verbose: true, schema, dbCredentials: { url: database.url }, ...options };
    writeFileSync(join(folder, "drizzle.config.mjs"), `export default ${JSON.stringify(config)};`);
    return program("node_modules/drizzle-kit/bin.cjs", "push", "--config", "drizzle.config.mjs").catch(
      (error: unknown) => String(error),
    );
  }

  it("would drop the tables if it did not know of them", async () => {
    await fill();
    // Beside a new table, drizzle-kit would ask whether a table was renamed.
    expect(await push(["./app.ts"], {}, accounts)).toContain('DROP TABLE "sessions" CASCADE');
  });

  it("leaves a schema of their own alone", async () => {
    await fill("pgstore");
    expect(await push(["./app.ts"])).not.toMatch(/DROP|ALTER|sessions/);
    expect([await tables("pgstore"), await tables()]).toEqual([TABLES, ["accounts", "added"]]);
  });

  it("leaves tables alone that its filter excludes", async () => {
    await fill();
    expect(await push(["./app.ts"], { tablesFilter: ["!sessions*"] })).not.toMatch(/DROP|ALTER|sessions/);
    expect(await tables()).toEqual(["accounts", "added", ...TABLES]);
  });

  it.each([undefined, "pgstore"])("finds nothing to change beside the printed file, in schema %s", async (schema) => {
    await fill(schema);
    const file = await print("sessions.ts", "--drizzle", ...(schema === undefined ? [] : ["--schema", schema]));
    const flags = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"];
    await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...flags, file], folder);
    const said = await push(["./app.ts", `./${file}`], { schemaFilter: ["public", schema ?? "public"] });
    expect(said).toContain('CREATE TABLE "added"');
    expect(said).not.toMatch(/DROP|ALTER|INDEX|sessions/);
    expect(await tables(schema)).toEqual(expect.arrayContaining(TABLES));
    const again = await push(["./app.ts", `./${file}`], { schemaFilter: ["public", schema ?? "public"] });
    expect(again).toContain("No changes detected");
  });
});

describe("prisma db push", () => {
  /** Writes a schema with one model of the application's. */
  function app(feature = "", schemas = ""): string {
    const datasource = `datasource db {\n  provider = "postgresql"\n${schemas}}\n`;
    const client = `generator client {\n  provider = "prisma-client"\n  output = "./generated"\n${feature}}\n`;
    const model = `model accounts {\n  id String @id\n${schemas && '  @@schema("public")\n'}}\n`;
    writeFileSync(join(folder, "app.prisma"), datasource + client + model);
    return "app.prisma";
  }
  const NOTHING = /^-- This is an empty migration\.\s*$/;

  it("would drop the tables if it did not know of them", async () => {
    await fill();
    expect(await program("prisma.mjs", app())).toContain('DROP TABLE "sessions"');
  });

  it("leaves external tables, and a schema of their own, alone", async () => {
    await fill();
    const external = TABLES.map((table) => `public.${table}`);
    expect(await program("prisma.mjs", app(), "--external", ...external)).toMatch(NOTHING);
    await new PgStore(database.pool({ max: 1 }), { schema: "pgstore", cleanupInterval: 0 }).migrate();
    expect(await program("prisma.mjs", app(), "--external", ...external)).toMatch(NOTHING);
  });

  it("finds nothing to change beside the printed models", async () => {
    await fill();
    expect(await program("prisma.mjs", app(), await print("sessions.prisma", "--prisma"))).toMatch(NOTHING);
    const pool = database.pool({ max: 1 });
    await new PgStore(pool, { schema: "pgstore", cleanupInterval: 0 }).migrate();
    await pool.query("DROP TABLE sessions, sessions_users, sessions_history");
    const models = await print("schema.prisma", "--prisma", "--schema", "pgstore");
    expect(await program("prisma.mjs", app("", '  schemas = ["public", "pgstore"]\n'), models)).toMatch(NOTHING);
  });

  it("finds nothing to change with partial indexes on, once their lines are no comments", async () => {
    await fill();
    const feature = '  previewFeatures = ["partialIndexes"]\n';
    const models = await print("sessions.prisma", "--prisma");
    expect(await program("prisma.mjs", app(feature), models)).toContain("DROP INDEX");
    writeFileSync(join(folder, models), readFileSync(join(folder, models), "utf8").replaceAll("// @@index", "@@index"));
    expect(await program("prisma.mjs", app(feature), models)).toMatch(NOTHING);
  });
});

describe("an ORM instead of a client", () => {
  it("is refused with a remedy that works", async () => {
    const separate = "pass a separate pg.Pool, new pg.Pool({ max: 3, connectionTimeoutMillis: 5000 })";
    expect(JSON.parse(await program("clients.mjs"))).toEqual({
      drizzle: "a Drizzle database: pass db.$client",
      "db.$client": "works",
      kysely: "a Kysely instance: pass the pg.Pool that you passed to PostgresDialect",
      knex: `a Knex instance: ${separate}`,
      sequelize: `a Sequelize instance: ${separate}`,
      typeorm: "a TypeORM DataSource: pass dataSource.driver.master, after dataSource.initialize()",
      "typeorm manager": "a TypeORM EntityManager: pass dataSource.driver.master",
      "typeorm query runner": "a TypeORM QueryRunner: pass dataSource.driver.master",
      "dataSource.driver.master": "works",
      "mikro-orm": `MikroORM: ${separate}`,
      "mikro-orm em": `MikroORM's EntityManager: ${separate}`,
      "pg-promise": "pg-promise's database: pass db.$pool",
      "db.$pool": "works",
      slonik: `a Slonik pool: ${separate}`,
    });
  });
});
