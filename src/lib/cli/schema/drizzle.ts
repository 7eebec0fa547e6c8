import type { TableName } from "../../postgres/sql/table-name.ts";
import { type Index, indexName, INDEXES } from "../../postgres/sql/tables.ts";
import { camelCase, type Model, type ModelColumn, modelsOf } from "./model.ts";

const CONSTANTS = { sessions: "pgstoreSessions", users: "pgstoreUsers", history: "pgstoreHistory" } as const;

/** Drizzle's function for each type of a column. */
const TYPES: Record<ModelColumn["type"], (name: string) => string> = {
  text: (name) => `text(${name})`,
  "text[]": (name) => `text(${name}).array()`,
  bytea: (name) => `bytea(${name})`,
  "timestamp with time zone": (name) => `timestamp(${name}, { withTimezone: true })`,
  bigint: (name) => `bigint(${name}, { mode: "number" })`,
  integer: (name) => `integer(${name})`,
};

/** Writes the tables as a TypeScript file for Drizzle. */
export function drizzleSchema(table: TableName): string {
  // Drizzle refuses to name the schema that PostgreSQL has by default.
  const schema = table.schema === "public" ? undefined : table.schema;
  const maker = schema === undefined ? "pgTable" : "pgstoreSchema.table";
  const imported = ["bigint", "customType", "index", "integer", schema === undefined ? "pgTable" : "pgSchema", "text"];
  return `// pgstore's tables, written by: npx pgstore schema --drizzle
//
// List this file under \`schema\` in drizzle.config.ts, so that drizzle-kit push leaves the tables alone. Let
// npx pgstore migrate create them: Drizzle can't express the collation "C" of the columns user_id.
${importOf(["sql"], "drizzle-orm")}
${importOf([...imported, "timestamp"], "drizzle-orm/pg-core")}

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
${schema === undefined ? "" : `\nexport const pgstoreSchema = pgSchema(${JSON.stringify(schema)});\n`}
${modelsOf(table)
  .map((model) => tableOf(model, maker))
  .join("\n\n")}`;
}

function importOf(names: readonly string[], from: string): string {
  return `import { ${names.join(", ")} } from ${JSON.stringify(from)};`;
}

function tableOf({ role, table, columns }: Model, maker: string): string {
  const lines = columns.map((column) => `    ${column.property}: ${columnOf(column)},`);
  const indexes =
    role === "sessions" ? `\n  (table) => [\n${INDEXES.map((index) => indexOf(table, index)).join("\n")}\n  ],` : "";
  return `export const ${CONSTANTS[role]} = ${maker}(
  ${JSON.stringify(table)},
  {
${lines.join("\n")}
  },${indexes}
);`;
}

function columnOf({ name, type, isKey, isRequired, isZeroed }: ModelColumn): string {
  const made = TYPES[type](JSON.stringify(name));
  return `${made}${isKey ? ".primaryKey()" : isRequired ? ".notNull()" : ""}${isZeroed ? ".default(0)" : ""}`;
}

function indexOf(table: string, index: Index): string {
  const columns = index.columns
    .split(", ")
    .map((column) => `table.${camelCase(column)}`)
    .join(", ");
  const on = index.using === undefined ? `on(${columns})` : `using("${index.using}", ${columns})`;
  const where = index.where === undefined ? "" : `.where(sql\`${index.where}\`)`;
  return `    index(${JSON.stringify(indexName(table, index))}).${on}${where},`;
}
