import { SessionInvalidError } from "../core/errors.ts";
import { publish } from "../core/events.ts";
import { type OptionReader, wrong } from "../core/options.ts";
import { isStandardSchema, type SchemaIssue, type SchemaResult, type StandardSchema } from "../core/standard-schema.ts";
import { assertValue, cloneValue, equalValues, toValue, type Value } from "../core/value.ts";
import { isReserved } from "./values.ts";

/*
 * Validated data. A value is checked where it enters a session: in `set` and `update`, at the commit if an object was changed in place, and
 * at the load, because another release or program may have stored it. The session holds what the schema returns.
 *
 * A stored value must come back from the next load unchanged, so a schema has to accept its own output and return an
 * equal value. `set` checks this when the schema has changed the value. `z.string().trim()` passes. A schema that turns
 * a text into its length fails.
 *
 * Why: docs/decisions/038-validated-data.md
 */

/** A schema for each key whose values are checked. Values of other keys are not checked. */
export type SessionSchema<Data> = { readonly [Key in keyof Data]?: StandardSchema<Data[Key]> | undefined };

/**
 * Treatment of a stored value that its schema refuses at the load: the key is absent ("drop"), the load fails ("fail"), or a function
 * returns the value to use instead, or undefined to drop the key. The row changes with the next write.
 */
export type OnInvalid = "drop" | "fail" | ((key: string, value: unknown, issues: readonly SchemaIssue[]) => unknown);

/** The schemas of a manager's sessions. */
export class DataSchema {
  /**
   * Reads the options `schema` and `onInvalid`. Returns undefined without a schema.
   *
   * @throws TypeError, naming the option, when one is wrong
   */
  static read(read: OptionReader): DataSchema | undefined {
    const given = read.value("schema");
    const onInvalid = read.value("onInvalid", "drop");
    if (onInvalid !== "drop" && onInvalid !== "fail" && typeof onInvalid !== "function") {
      throw read.wrong("onInvalid", '"drop", "fail" or a function');
    }
    if (given === undefined) {
      if (read.value("onInvalid") !== undefined) throw read.wrong("schema", "a schema, because onInvalid is given");
      return undefined;
    }
    if (typeof given !== "object" || given === null || isStandardSchema(given)) {
      throw read.wrong("schema", "an object with a schema for each key, such as { cart: z.array(z.string()) }");
    }
    const schemas = new Map<string, StandardSchema>();
    for (const [key, schema] of Object.entries(given)) {
      if (isReserved(key)) throw wrong("schema", "keys that pgstore does not reserve", key);
      if (schema === undefined) continue;
      if (!isStandardSchema(schema))
        throw wrong(`schema.${key}`, "a Standard Schema (https://standardschema.dev)", schema);
      schemas.set(key, schema);
    }
    return new DataSchema(schemas, onInvalid as OnInvalid);
  }

  readonly #schemas: ReadonlyMap<string, StandardSchema>;
  readonly #onInvalid: OnInvalid;
  /** Keys known to have no default, so that each read saves a failing check. */
  readonly #bare = new Set<string>();

  private constructor(schemas: ReadonlyMap<string, StandardSchema>, onInvalid: OnInvalid) {
    this.#schemas = schemas;
    this.#onInvalid = onInvalid;
  }

  /**
   * Checks a value that enters the session. Returns the value to store.
   *
   * @param how - the way it enters, for the message
   * @throws SessionInvalidError when the schema refuses the value; TypeError when a session can't hold what the schema returns, or when the
   *   schema is asynchronous or does not accept its own output
   */
  accept(key: string, value: unknown, how = "value"): Value {
    const schema = this.#schemas.get(key);
    if (schema === undefined) return toValue(key, value);
    const result = check(key, schema, value);
    if (result.issues !== undefined) throw new SessionInvalidError(key, how, result.issues);
    const accepted = toValue(key, result.value);
    // The application's own object, as without a schema, so that its later changes in place count.
    if (accepted === value || (isStorable(key, value) && equalValues(accepted, value))) return value as Value;
    const again = check(key, schema, accepted);
    if (again.issues !== undefined || !equalValues(again.value, accepted)) {
      throw new TypeError(
        `session key ${JSON.stringify(key)}: the schema must accept its own output and return it unchanged, as the next load checks it again`,
      );
    }
    // The schema may return the same object, or a part of it, each time. Sessions must not share it.
    return cloneValue(accepted);
  }

  /** Returns a new default for an absent key: the value that its schema makes of undefined. */
  defaultOf(key: string): Value | undefined {
    const schema = this.#schemas.get(key);
    if (schema === undefined || this.#bare.has(key)) return undefined;
    const result = check(key, schema, undefined);
    // Sessions must not share the default.
    if (result.issues === undefined && result.value !== undefined) return cloneValue(toValue(key, result.value));
    this.#bare.add(key);
    return undefined;
  }

  /**
   * Checks the values of a row. Returns the values to use, in the same map if the schemas change none.
   *
   * @param id - safe to publish
   * @throws SessionInvalidError with `onInvalid: "fail"`, or when the schema refuses what `onInvalid` returns;
   *   TypeError when a session can't hold what the schema returns, or when the schema is asynchronous
   */
  load(values: ReadonlyMap<string, Value>, id: string): ReadonlyMap<string, Value> {
    let changed: Map<string, Value> | undefined;
    for (const [key, schema] of this.#schemas) {
      const value = values.get(key);
      if (value === undefined) continue;
      const result = check(key, schema, value);
      const next = result.issues === undefined ? result.value : this.#repair(key, value, result.issues, id);
      if (next === value) continue;
      changed ??= new Map(values);
      if (next === undefined) changed.delete(key);
      else changed.set(key, cloneValue(toValue(key, next)));
    }
    return changed ?? values;
  }

  #repair(key: string, value: Value, issues: readonly SchemaIssue[], id: string): Value | undefined {
    if (this.#onInvalid === "fail") throw new SessionInvalidError(key, "stored value", issues);
    const next = this.#onInvalid === "drop" ? undefined : this.#onInvalid(key, value, issues);
    if (next !== undefined) return this.accept(key, next, "value that onInvalid has returned");
    publish("invalid", { id, key });
    return undefined;
  }
}

/**
 * Checks a value, with a schema if there is one. Returns the value to store.
 *
 * @throws SessionInvalidError when the schema refuses the value; TypeError when a session can't hold it
 */
export function accept(schema: DataSchema | undefined, key: string, value: unknown): Value {
  return schema === undefined ? toValue(key, value) : schema.accept(key, value);
}

/** Returns a value, or the default of an absent one. */
export function orDefault(schema: DataSchema | undefined, key: string, value: Value | undefined): Value | undefined {
  return value === undefined ? schema?.defaultOf(key) : value;
}

/** @throws TypeError, naming the key, when the schema is asynchronous */
function check(key: string, schema: StandardSchema, value: unknown): SchemaResult<unknown> {
  const result = schema["~standard"].validate(value);
  if (!("then" in result)) return result;
  // Its rejection would otherwise be unhandled.
  result.then(undefined, () => {});
  throw new TypeError(
    `session key ${JSON.stringify(key)}: the schema is asynchronous, a session needs a synchronous one`,
  );
}

function isStorable(key: string, value: unknown): boolean {
  try {
    assertValue(key, value);
    return true;
  } catch {
    return false;
  }
}
