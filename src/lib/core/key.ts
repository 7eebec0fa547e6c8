/** A B-tree of PostgreSQL takes keys up to a third of a page; no token of ours is near that. */
const MAX_KEY_LENGTH = 1024;

/** Whether a store can keep a row under this key. Nothing is to be found under any other. */
export function isKey(key: unknown): key is string {
  return typeof key === "string" && key !== "" && key.length <= MAX_KEY_LENGTH && isText(key);
}

/** @throws TypeError when PostgreSQL could not store the key as it is */
export function assertKey(key: unknown): string {
  if (typeof key !== "string" || key === "" || key.length > MAX_KEY_LENGTH) {
    throw new TypeError(`token: must be a string of 1 to ${MAX_KEY_LENGTH} characters`);
  }
  if (!isText(key)) throw new TypeError("token: must be valid UTF-8 without NUL");
  return key;
}

function isText(key: string): boolean {
  return !key.includes("\0") && key.isWellFormed();
}
