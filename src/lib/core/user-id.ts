/** Bytes: an index of PostgreSQL takes no more than about 2,700 in a row. */
const MAX_NAME_BYTES = 1024;

/** A user's name, or a tag's, in the table that has a scope. */
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
  if (!isName(userId)) {
    throw new TypeError(`${operation}: userId must be valid UTF-8 without NUL, up to ${MAX_NAME_BYTES} bytes`);
  }
}

/** @throws TypeError when no tag can be called that */
export function assertTag(option: string, tag: unknown): string {
  if (typeof tag !== "string" || tag === "" || SCOPED.test(tag) || !isName(tag)) {
    throw new TypeError(
      `${option}: expected a non-empty string of valid UTF-8 without NUL or a scope before it, up to ${MAX_NAME_BYTES} bytes`,
    );
  }
  return tag;
}

function isName(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed() && new TextEncoder().encode(text).length <= MAX_NAME_BYTES;
}
