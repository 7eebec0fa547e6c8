/** Options of the adapters for Express, Fastify, Koa and Hono. */
export interface PropertyOptions<Property extends string = string> {
  /** Name of the request's or context's property that holds the session. Several managers need different names. Default `"session"`. */
  property?: Property | undefined;
}

/**
 * Creates the descriptor of the property that holds a request's session. An assignment throws: with express-session and cookie-session
 * `request.session = null` logs out, but here it would only hide the session.
 *
 * @param object - the framework's name for the object, for the error: `request`, `ctx`
 * @param read - returns the session of the object
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
      // Some code saves the property and puts it back.
      if (value !== undefined && value !== null && value === read(this)) return;
      throw new TypeError(
        `${object}.${property}: cannot be assigned. To end the session, call await ${object}.${property}.destroy()`,
      );
    },
    enumerable: true,
    configurable: true,
  };
}
