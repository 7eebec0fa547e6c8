/** Bytes: an index of PostgreSQL takes no more than about 2,700 in a row. */
const LONGEST_USER_ID = 1024;

/** @throws TypeError when no user can be called that */
export function assertUserId(operation: string, userId: unknown): asserts userId is string {
  if (typeof userId !== "string" || userId === "") {
    throw new TypeError(`${operation}: userId must be a non-empty string`);
  }
  if (userId.includes("\0") || !userId.isWellFormed() || new TextEncoder().encode(userId).length > LONGEST_USER_ID) {
    throw new TypeError(`${operation}: userId must be valid UTF-8 without NUL, up to ${LONGEST_USER_ID} bytes`);
  }
}
