import { wrong } from "../../core/options.ts";
import { sha256 } from "../../core/token.ts";

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

/** PostgreSQL cuts longer names off without an error; two tables could become one. */
const MAX_NAME_BYTES = 63;

/**
 * Quotes a table's or schema's name, whatever it holds. A dot is part of the name.
 *
 * @param option - the option's name, for the message
 * @throws TypeError that names the option
 */
export function quoteIdentifier(option: string, name: unknown): string {
  if (typeof name !== "string" || name === "") throw wrong(option, "a non-empty string", name);
  if (name.includes("\0") || !name.isWellFormed()) throw wrong(option, "valid UTF-8 without NUL", name);
  if (new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
    throw wrong(option, `at most ${MAX_NAME_BYTES} bytes`, name);
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * The name of what belongs to a table: of a long name, its beginning and what keeps it apart from others that begin so.
 *
 * @param suffix - what is added to the table's name
 */
export function shortened(table: string, suffix: string): string {
  const name = `${table}_${suffix}`;
  const encoder = new TextEncoder();
  if (encoder.encode(name).length <= MAX_NAME_BYTES) return name;
  const ending = `_${sha256(table).slice(0, 8)}_${suffix}`;
  let beginning = table;
  while (encoder.encode(beginning + ending).length > MAX_NAME_BYTES)
    beginning = Array.from(beginning).slice(0, -1).join("");
  return beginning + ending;
}

/** Quotes a text as an SQL literal, whatever standard_conforming_strings says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? ` E${quoted}` : quoted;
}
