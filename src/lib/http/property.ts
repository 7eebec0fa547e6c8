/** What the adapters of frameworks take besides the manager. */
export interface PropertyOptions {
  /** Where the framework's request (or context) holds the session: another name for each of several managers. Default `"session"`. */
  property?: string;
}

/** @throws TypeError that names the option */
export function propertyName(options: PropertyOptions): string {
  const { property = "session" } = options;
  if (typeof property !== "string" || property === "") throw new TypeError("property: must be a non-empty string");
  return property;
}
