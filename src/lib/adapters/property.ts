import { OptionReader } from "../core/options.ts";

/** What the adapters of frameworks take besides the manager. */
export interface PropertyOptions {
  /** Where the framework's request (or context) holds the session: another name for each of several managers. Default `"session"`. */
  property?: string | undefined;
}

/** @throws TypeError that names the option */
export function propertyName(options: PropertyOptions): string {
  const read = new OptionReader(options);
  const property = read.text("property", "session");
  read.end();
  return property;
}

/**
 * Makes the property through which a framework's users reach their session. To log out by an assignment to it, as express-session
 * and cookie-session have it, would only hide the session from the request: it throws.
 *
 * @param object - what the framework calls the object: `request`, `ctx`
 * @param read - gets the object
 */
export function sessionProperty(
  object: string,
  property: string,
  read: (of: object) => unknown,
): PropertyDescriptor & { get(): unknown; set(value: unknown): void } {
  return {
    get(this: object): unknown {
      return read(this);
    },
    set(this: object, value: unknown): void {
      // As code that saves it and puts it back.
      if (value !== undefined && value !== null && value === read(this)) return;
      throw new TypeError(
        `${object}.${property} = … neither ends the session nor replaces it: call await ${object}.${property}.destroy() to end it`,
      );
    },
    enumerable: true,
    configurable: true,
  };
}
