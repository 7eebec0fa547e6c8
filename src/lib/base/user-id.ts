/** Bytes: an index of PostgreSQL takes no more than about 2,700 in a row. */
const LONGEST_USER_ID = 1024;

/** A user's name in the table that has a scope. */
const SCOPED = /^%[\w-]+:/;

/**
 * Takes the id of a user who is to have a session.
 *
 * @throws TypeError when no user can be called that, or a user of another scope is
 */
export function assertNewUserId(operation: string, userId: unknown): asserts userId is string {
  assertUserId(operation, userId);
  if (SCOPED.test(userId)) {
    throw new TypeError(`${operation}: userId can't begin with % and a scope, as "%admin:" does`);
  }
}

/** @throws TypeError when no user can be called that */
export function assertUserId(operation: string, userId: unknown): asserts userId is string {
  if (typeof userId !== "string" || userId === "") {
    throw new TypeError(`${operation}: userId must be a non-empty string`);
  }
  if (userId.includes("\0") || !userId.isWellFormed() || new TextEncoder().encode(userId).length > LONGEST_USER_ID) {
    throw new TypeError(`${operation}: userId must be valid UTF-8 without NUL, up to ${LONGEST_USER_ID} bytes`);
  }
}
