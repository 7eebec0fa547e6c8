import { wrong } from "./options.ts";

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
    throw wrong(`${operation}: userId`, "a user that does not begin with % and a scope", userId);
  }
}

/** @throws TypeError when no user can be called that */
export function assertUserId(operation: string, userId: unknown): asserts userId is string {
  if (typeof userId !== "string" || userId === "") {
    throw wrong(`${operation}: userId`, "a non-empty string", userId);
  }
  if (!isName(userId)) {
    throw wrong(`${operation}: userId`, `valid UTF-8 without NUL, up to ${MAX_NAME_BYTES} bytes`, userId);
  }
}

/** @throws TypeError when no tag can be called that */
export function assertTag(option: string, tag: unknown): string {
  if (typeof tag !== "string" || tag === "" || SCOPED.test(tag) || !isName(tag)) {
    throw wrong(option, `1 to ${MAX_NAME_BYTES} bytes of valid UTF-8 without NUL and without a scope before it`, tag);
  }
  return tag;
}

function isName(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed() && new TextEncoder().encode(text).length <= MAX_NAME_BYTES;
}
