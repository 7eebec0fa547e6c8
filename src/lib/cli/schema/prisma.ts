import type { TableName } from "../../postgres/sql/table-name.ts";
import { type Index, indexName, INDEXES } from "../../postgres/sql/tables.ts";
import { columns as aligned } from "../terminal.ts";
import { camelCase, type Model, type ModelColumn, modelsOf } from "./model.ts";

// NextAuth's schema has a model Session as well.
const MODELS = { sessions: "PgstoreSession", users: "PgstoreUser", history: "PgstoreHistory" } as const;

/** Prisma's type for each type of a column, and its native type where Prisma's default is another. */
const TYPES: Record<ModelColumn["type"], readonly [type: string, native?: string]> = {
  text: ["String"],
  "text[]": ["String[]"],
  bytea: ["Bytes"],
  "timestamp with time zone": ["DateTime", "@db.Timestamptz(6)"],
  bigint: ["BigInt"],
  integer: ["Int"],
};

/** Writes the tables as models for schema.prisma. */
export function prismaSchema(table: TableName): string {
  const models = modelsOf(table);
  const { schema } = table;
  const external = models.map((model) => JSON.stringify(`${schema ?? "public"}.${model.table}`)).join(", ");
  const datasource =
    schema === undefined || schema === "public"
      ? ""
      : `// The datasource needs schemas = ["public", ${JSON.stringify(schema)}].\n`;
  return `// pgstore's tables, written by: npx pgstore schema --prisma
//
// Put these models into your schema, so that Prisma leaves the tables alone. Let npx pgstore migrate create them: Prisma can't
// express the collation "C" of the columns user_id. It ignores the two partial indexes, unless you use the preview feature
// partialIndexes: then remove the slashes before them, or Prisma drops them.
${datasource}// Instead of these models you can tell Prisma in prisma.config.ts that the tables are not its own:
//   experimental: { externalTables: true }, tables: { external: [${external}] }

${models.map((model) => modelOf(model, schema)).join("\n\n")}`;
}

function modelOf({ role, table, columns }: Model, schema: string | undefined): string {
  const fields = aligned(columns.map(fieldOf), { gap: " " }).replaceAll(/^/gm, "  ");
  const indexes = role === "sessions" ? INDEXES.map((index) => indexOf(table, index)) : [];
  const attributes = [
    ...indexes,
    `@@map(${JSON.stringify(table)})`,
    ...(schema === undefined ? [] : [`@@schema(${JSON.stringify(schema)})`]),
  ];
  return `model ${MODELS[role]} {\n${fields}\n\n${attributes.map((line) => `  ${line}`).join("\n")}\n}`;
}

function fieldOf({ name, property, type, isKey, isRequired, isZeroed }: ModelColumn): string[] {
  const [prismaType, native] = TYPES[type];
  const isOptional = !isRequired && !prismaType.endsWith("[]");
  const attributes = [
    isKey && "@id",
    isZeroed && "@default(0)",
    name !== property && `@map(${JSON.stringify(name)})`,
    native,
  ];
  return [property, `${prismaType}${isOptional ? "?" : ""}`, attributes.filter(Boolean).join(" ")];
}

function indexOf(table: string, index: Index): string {
  const { columns, using, where } = index;
  const fields = columns.split(", ").map(camelCase).join(", ");
  const name = JSON.stringify(indexName(table, index));
  const type = using === "gin" ? ", type: Gin" : "";
  if (where === undefined) return `@@index([${fields}], map: ${name}${type})`;
  return `// @@index([${fields}], map: ${name}${type}, where: raw(${JSON.stringify(where)}))`;
}
