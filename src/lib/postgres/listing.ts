import type { StoredEntry } from "../core/store.ts";
import type { Row } from "./drivers/driver.ts";
import type { Layout } from "./sql/layout.ts";
import type { Statement } from "./sql/statements.ts";
import { readInstant } from "./sql/text-format.ts";

/**
 * Rows of the first page. Later pages have as many rows as make up a certain length, in characters. Rows beyond the bound of
 * an answer come without their data, and are read again.
 */
const FIRST_PAGE = 100;
const LARGEST_PAGE = 1000;
const PAGE_LENGTH = 1 << 20;

/** Lists the live rows by token, a page at a time, in constant memory. */
export async function* listRows(
  run: (statement: Statement, values: unknown[]) => Promise<Row[]>,
  page: Statement,
  layout: Layout,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredEntry, void, undefined> {
  let last = "";
  let size = FIRST_PAGE;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await run(page, [last, String(size)]);
    const deferred = rows.findIndex(({ data }, n) => n > 0 && data === null);
    const whole = deferred < 0 ? rows : rows.slice(0, deferred);
    let length = 0;
    for (const { token, data, expiry } of whole) {
      last = token ?? "";
      length += data?.length ?? 0;
      yield { token: last, data: layout.decode(data), expiry: readInstant(expiry) };
    }
    if (rows.length < size && deferred < 0) return;
    size = Math.min(LARGEST_PAGE, Math.max(1, Math.floor((PAGE_LENGTH * whole.length) / length)));
  }
}
