import { Buffer } from "node:buffer";
import { wrong } from "../../core/options.ts";
import { sha256 } from "../../core/token.ts";

/** A table's name in the forms that SQL needs. */
export interface TableName {
  /** Unquoted, without the schema. */
  name: string;
  /** The companions' names, unquoted, without the schema. */
  names: { users: string; history: string };
  /** Quoted, with its schema if it has one. */
  quoted: string;
  /** Quoted name of the table with a row for each user who has logged in. */
  users: string;
  /** Quoted name of the history table. */
  history: string;
  /** Unquoted. Undefined means the first schema of the search path that has the table, or could have it. */
  schema: string | undefined;
}

/** Checks and quotes a table's name. @throws TypeError when the table's or the schema's name is wrong */
export function tableName(table: string, schema: string | undefined): TableName {
  const home = schema === undefined ? "" : `${quoteIdentifier("schema", schema)}.`;
  const names = { users: shortened(table, "users"), history: shortened(table, "history") };
  const within = (name: string): string => home + quoteIdentifier("table", name);
  return {
    name: table,
    names,
    quoted: within(table),
    users: within(names.users),
    history: within(names.history),
    schema,
  };
}

/** PostgreSQL truncates longer names without an error, which could merge two tables. */
const MAX_NAME_BYTES = 63;

/**
 * Quotes a table's or schema's name. A dot is part of the name.
 *
 * @param option - the option's name, for the message
 * @throws TypeError when the name is empty, too long or not a string
 */
export function quoteIdentifier(option: string, name: unknown): string {
  if (typeof name !== "string" || name === "") throw wrong(option, "a non-empty string", name);
  if (name.includes("\0") || !name.isWellFormed()) throw wrong(option, "valid UTF-8 without NUL", name);
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw wrong(option, `at most ${MAX_NAME_BYTES} bytes`, name);
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Names a companion of a table. A long name is shortened to its beginning and a hash.
 *
 * @param suffix - the end of the companion's name
 */
export function shortened(table: string, suffix: string): string {
  const name = `${table}_${suffix}`;
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  const ending = `_${sha256(table).slice(0, 8)}_${suffix}`;
  let beginning = table;
  while (Buffer.byteLength(beginning + ending) > MAX_NAME_BYTES)
    beginning = Array.from(beginning).slice(0, -1).join("");
  return beginning + ending;
}

/** Quotes a text as an SQL literal, for any setting of standard_conforming_strings. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? ` E${quoted}` : quoted;
}
