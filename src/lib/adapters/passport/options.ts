import { OptionReader, shown } from "../../core/options.ts";

/** Options of the support for Passport. */
export interface PassportOptions {
  /**
   * Returns the id of a user, for `listByUser` and `session.userId`, from the value that `serializeUser` has chosen. Default: that value if
   * it is a string or a number, otherwise its property `id`.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- only the application knows what its serializeUser returns
  userId?: ((serialized: any) => string | number) | undefined;
  /** The key of the session that Passport uses. Default `"passport"`. */
  key?: string | undefined;
}

/** The options, checked and with their defaults. */
export interface ResolvedPassport {
  key: string;
  /** Reads the serialized user out of the value at the key. Undefined: no user is logged in. */
  userIn: (value: unknown) => unknown;
  /** Returns the id of a serialized user. @throws TypeError when the user has no id */
  idOf: (user: unknown) => string;
}

/** The place of the serialized user: in the property `user` of the value (passport, koa-passport), or the value itself (@fastify/passport). */
export type UserPlace = "property" | "value";

/**
 * Checks the option `passport`.
 *
 * @returns undefined when it is off
 * @throws TypeError, naming the option, when it is wrong or cannot be combined with a lazy manager
 */
export function readPassport(given: unknown, isLazy: boolean, place: UserPlace): ResolvedPassport | undefined {
  if (given === undefined || given === false) return undefined;
  const read = new OptionReader(given === true ? {} : given, "passport.");
  const key = read.text("key", "passport");
  const userId = read.callback<(user: unknown) => unknown>("userId");
  read.end();
  if (isLazy) {
    throw new TypeError(
      "passport: cannot be combined with lazy: true, because Passport reads the session of every request",
    );
  }
  return {
    key,
    userIn: (value) => presentUser(place === "value" ? value : (value as { user?: unknown } | null | undefined)?.user),
    idOf: (user) => idOf(user, userId),
  };
}

/** Returns undefined for the values that mean no user to Passport. */
function presentUser(user: unknown): unknown {
  return user === null || user === false || user === "" ? undefined : user;
}

function idOf(user: unknown, userId: ((user: unknown) => unknown) | undefined): string {
  const isObject = typeof user === "object" && user !== null;
  const id = userId === undefined ? (isObject ? (user as { id?: unknown }).id : user) : userId(user);
  if (typeof id === "string" || typeof id === "number") return String(id);
  throw new TypeError(
    `passport: expected a serialized user that is a string, a number or an object with an id, got ${shown(id)}. ` +
      "Name its id: passport: { userId: (user) => user.email }",
  );
}
