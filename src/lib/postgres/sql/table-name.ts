import { shortened, quoteIdentifier } from "./identifier.ts";

/** A table's name in the forms that SQL needs. */
export interface TableName {
  /** As it is, without its schema; and so its companions' names. */
  name: string;
  names: { users: string; history: string };
  /** Quoted, with its schema if it has one. */
  quoted: string;
  /** Of the table with a row for each user who has logged in, quoted likewise. */
  users: string;
  /** Of the table that the cleanup keeps its history in, quoted likewise. */
  history: string;
  /** Undefined: the first schema of the search path that has the table, or could. */
  schema: { name: string; quoted: string } | undefined;
}

/** @throws TypeError that names the option */
export function tableName(table: string, schema: string | undefined): TableName {
  const quotedSchema = schema === undefined ? undefined : quoteIdentifier("schema", schema);
  const names = { users: shortened(table, "users"), history: shortened(table, "history") };
  const within = (name: string): string => {
    const quoted = quoteIdentifier("table", name);
    return quotedSchema === undefined ? quoted : `${quotedSchema}.${quoted}`;
  };
  const named = schema === undefined || quotedSchema === undefined ? undefined : { name: schema, quoted: quotedSchema };
  return {
    name: table,
    names,
    quoted: within(table),
    users: within(names.users),
    history: within(names.history),
    schema: named,
  };
}
