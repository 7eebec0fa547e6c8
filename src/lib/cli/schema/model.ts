import type { TableName } from "../../postgres/sql/table-name.ts";
import { COMPANIONS, type Column, SESSION_COLUMNS, USER_COLUMNS } from "../../postgres/sql/tables.ts";

/** A column as an ORM describes it. */
export interface ModelColumn {
  /** Its name in the table. */
  readonly name: string;
  /** Its name in camelCase. */
  readonly property: string;
  /** Its type as named by `format_type`. */
  readonly type: Column["type"];
  readonly isKey: boolean;
  readonly isRequired: boolean;
  /** Whether its default is 0. Columns have no other defaults. */
  readonly isZeroed: boolean;
}

/** A table as an ORM describes it. */
export interface Model {
  readonly role: "sessions" | "users" | "history";
  /** Its name, without the schema. */
  readonly table: string;
  readonly columns: readonly ModelColumn[];
}

/** Describes the tables that `migrate` creates. Only the table of sessions has indexes besides its key. */
export function modelsOf({ name, names }: TableName): Model[] {
  return [
    { role: "sessions", table: name, columns: [...SESSION_COLUMNS, ...USER_COLUMNS].map(columnOf) },
    ...COMPANIONS.map(({ table, columns }) => ({ role: table, table: names[table], columns: columns.map(columnOf) })),
  ];
}

function columnOf({ name, type, ddl = type }: Column): ModelColumn {
  const isKey = ddl.includes("PRIMARY KEY");
  return {
    name,
    property: camelCase(name),
    type,
    isKey,
    isRequired: isKey || ddl.includes("NOT NULL"),
    isZeroed: ddl.includes("DEFAULT 0"),
  };
}

/** "last_seen" -> "lastSeen" */
export function camelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
