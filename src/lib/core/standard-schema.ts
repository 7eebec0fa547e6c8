/** A problem that a schema has found in a value. Its message may quote the value. */
export interface SchemaIssue {
  readonly message: string;
  /** The place inside the value, from the outside in. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The answer of a schema: the value that it makes of its input, or the problems. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

/**
 * A schema of any library with Standard Schema, such as Zod, Valibot and ArkType: the part that pgstore uses.
 *
 * @see https://standardschema.dev
 */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
  };
}

/** Tells whether a value is a schema. ArkType's are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const { version, validate } = (value as Partial<StandardSchema>)["~standard"] ?? {};
  return version === 1 && typeof validate === "function";
}
