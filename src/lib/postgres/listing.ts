import type { StoredEntry } from "../core/store.ts";
import type { Query } from "./drivers/driver.ts";
import type { Layout } from "./sql/layout.ts";
import { readInstant } from "./sql/text-format.ts";

export const FIRST_PAGE_ROWS = 100;
const MAX_PAGE_ROWS = 1000;
const PAGE_CHARACTERS = 1 << 20;

/** Returns the size of the next page, given that the last one had `characters` of data in `rows` rows. */
export function nextPageRows(rows: number, characters: number): number {
  return Math.min(MAX_PAGE_ROWS, Math.max(1, Math.floor((PAGE_CHARACTERS * rows) / Math.max(1, characters))));
}

/**
 * Lists the live rows by id, page by page, in constant memory. Rows beyond the size limit of an answer come without their
 * data and are read again.
 */
export async function* listRows(
  query: Query,
  page: string,
  layout: Layout,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredEntry, void, undefined> {
  let last = "";
  let size = FIRST_PAGE_ROWS;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await query(page, [last, String(size)]);
    const deferred = rows.findIndex(({ data }, n) => n > 0 && data === null);
    const whole = deferred < 0 ? rows : rows.slice(0, deferred);
    let length = 0;
    for (const { token, data, expiry } of whole) {
      last = token ?? "";
      length += data?.length ?? 0;
      yield { id: last, data: layout.decode(data), expiry: readInstant(expiry) };
    }
    if (rows.length < size && deferred < 0) return;
    size = nextPageRows(whole.length, length);
  }
}
