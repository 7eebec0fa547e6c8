// Prints the SQL by which Prisma would bring a database to the models of some files: what `prisma db push` runs. Prisma's own schema
// engine computes it, in the form of a WebAssembly module, because npm has no binary of it. Tables after --external are not Prisma's.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from "@prisma/driver-adapter-utils";
import * as module from "@prisma/schema-engine-wasm/schema_engine_bg";
import pg from "pg";

const wasm = createRequire(import.meta.url)
  .resolve("@prisma/schema-engine-wasm/schema_engine_bg")
  .replace(/\.js$/, ".wasm");
const { instance } = await WebAssembly.instantiate(readFileSync(wasm), { "./schema_engine_bg.js": module });
module.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start();

const { Int32, Int64, Boolean, Character, Text, TextArray } = ColumnTypeEnum;
/** Prisma's types by PostgreSQL's oids, for the catalogs. */
const TYPES = {
  16: Boolean,
  18: Character,
  19: Text,
  20: Int64,
  21: Int32,
  23: Int32,
  25: Text,
  26: Int64,
  1003: TextArray,
  1009: TextArray,
  1043: Text,
};
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 1 });

function valueOf(value, type) {
  if (value === null) return null;
  if (type === Character) return value === "" ? "\0" : value;
  if (type === Int64) return String(value);
  // pg has no parser for name[].
  return type === TextArray && typeof value === "string" ? value.slice(1, -1).split(",") : value;
}

const connection = {
  provider: "postgres",
  adapterName: "test",
  async queryRaw({ sql, args }) {
    const { fields, rows } = await pool.query({ text: sql, values: args, rowMode: "array" });
    const columnTypes = fields.map(({ dataTypeID }) => TYPES[dataTypeID]);
    return {
      columnNames: fields.map(({ name }) => name),
      columnTypes,
      rows: rows.map((row) => row.map((value, n) => valueOf(value, columnTypes[n]))),
    };
  },
  async executeRaw({ sql, args }) {
    return (await pool.query(sql, args)).rowCount ?? 0;
  },
  async executeScript(script) {
    await pool.query(script);
  },
  getConnectionInfo: () => ({ supportsRelationJoins: true }),
  dispose: () => pool.end(),
};
const factory = {
  provider: "postgres",
  adapterName: "test",
  connect: async () => connection,
  connectToShadowDb: async () => connection,
};

const args = process.argv.slice(2);
const at = args.indexOf("--external");
const files = (at < 0 ? args : args.slice(0, at)).map((path) => ({ path, content: readFileSync(path, "utf8") }));
const externalTables = at < 0 ? [] : args.slice(at + 1);
const datamodels = files.map(({ path, content }) => [path, content]);
const engine = await module.SchemaEngine.new({ datamodels }, () => {}, bindMigrationAwareSqlAdapterFactory(factory));
const { stdout } = await engine.diff({
  from: { tag: "schemaDatasource", files, configDir: "." },
  to: { tag: "schemaDatamodel", files },
  script: true,
  exitCode: null,
  shadowDatabaseUrl: null,
  filters: { externalTables, externalEnums: [] },
});
process.stdout.write(stdout);
process.exit(0);
