import { wrong } from "./options.ts";

/** An index of PostgreSQL takes rows of up to about 2,700 bytes. */
const MAX_NAME_BYTES = 1024;

/** Matches the beginning of a scoped user's or tag's name in the table. */
const SCOPED = /^%[\w-]{1,64}:/;

/**
 * Checks the id of a user who logs in.
 *
 * @throws TypeError when it is no valid id, or has the form of another scope's user
 */
export function assertNewUserId(operation: string, userId: unknown): asserts userId is string {
  assertUserId(operation, userId);
  if (SCOPED.test(userId)) {
    throw wrong(`${operation}: userId`, "an id that does not begin with % and a scope", userId);
  }
}

/** Checks a user's id or name in the table. @throws TypeError when, without a scope, it is not 1 to 1024 bytes of valid UTF-8 without NUL */
export function assertUserId(operation: string, userId: unknown): asserts userId is string {
  if (typeof userId !== "string" || userId === "") {
    throw wrong(`${operation}: userId`, "a non-empty string", userId);
  }
  if (!isName(userId.replace(SCOPED, ""))) {
    throw wrong(`${operation}: userId`, `valid UTF-8 without NUL, up to ${MAX_NAME_BYTES} bytes`, userId);
  }
}

/** Says whether a text is a user's id or name in the table that `assertUserId` accepts. */
export function isUserId(text: string): boolean {
  return text !== "" && isName(text.replace(SCOPED, ""));
}

/** Checks a tag and returns it. @throws TypeError when it is not 1 to 1024 bytes of valid UTF-8 without NUL, or has a scope's form */
export function assertTag(option: string, tag: unknown): string {
  if (typeof tag !== "string" || tag === "" || SCOPED.test(tag) || !isName(tag)) {
    throw wrong(
      option,
      `1 to ${MAX_NAME_BYTES} bytes of valid UTF-8 without NUL that do not begin with % and a scope`,
      tag,
    );
  }
  return tag;
}

function isName(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed() && new TextEncoder().encode(text).length <= MAX_NAME_BYTES;
}
