import { companionOf, quoteIdentifier } from "./identifier.ts";

/** A table's name in the forms that SQL needs. */
export interface TableName {
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
  const [quoted = "", users = "", history = ""] = [
    quoteIdentifier("table", table),
    ...["users", "history"].map((suffix) => quoteIdentifier("table", companionOf(table, suffix))),
  ].map((name) => (quotedSchema === undefined ? name : `${quotedSchema}.${name}`));
  const named = schema === undefined || quotedSchema === undefined ? undefined : { name: schema, quoted: quotedSchema };
  return { quoted, users, history, schema: named };
}
