import { type Query, textOf } from "./drivers/driver.ts";
import { FIRST_PAGE_ROWS, nextPageRows } from "./listing.ts";
import type { Layout } from "./sql/layout.ts";
import { countAll, MAX_SCAN_MS, pageOf, SAME_TABLE, SCHEMA_OBJECTS } from "./sql/operator.ts";
import { arrayText, readInstant } from "./sql/text-format.ts";

/** A row of another package's table. */
export interface ForeignRow {
  /** The row's key in that package: the token itself, or its id. */
  readonly key: string;
  /** Undefined when the session is over. */
  readonly session: { data: Uint8Array; expiry: Date } | undefined;
}

/** Reads a table of another package. */
export class ForeignTable {
  readonly #query: Query;
  /** Quoted. */
  readonly name: string;
  readonly #layout: Layout;

  /** Creates a reader of a table. @param name - quoted */
  constructor(query: Query, name: string, layout: Layout) {
    this.#query = query;
    this.name = name;
    this.#layout = layout;
  }

  /** The columns that the table must have. */
  get columns(): string[] {
    return [this.#layout.token, this.#layout.data, this.#layout.expiry];
  }

  /** Tells whether the table exists with these columns. */
  async exists(): Promise<boolean> {
    const rows = await this.#query(SCHEMA_OBJECTS, [arrayText([this.name])]);
    return this.columns.every((column) => rows.some(({ kind, name }) => kind === "column" && name === column));
  }

  /** Tells whether another name in the same database means this table. @param name - quoted */
  async isSameAs(name: string): Promise<boolean> {
    const [row] = await this.#query(SAME_TABLE, [this.name, name]);
    return row?.["same"] === "true";
  }

  async count(): Promise<number> {
    const [row] = await this.#query(countAll(this.name), [], MAX_SCAN_MS);
    return Number(row?.["count"]);
  }

  /** Reads all rows by key, a page at a time, in constant memory. */
  async *pages(): AsyncGenerator<ForeignRow[], void, undefined> {
    const { decode } = this.#layout;
    const page = pageOf(this.name, this.#layout);
    let last = "";
    let size = FIRST_PAGE_ROWS;
    for (;;) {
      const rows = await this.#query(page, [last, String(size)]);
      yield rows.map((row) => ({
        key: textOf(row, "token"),
        session:
          row["expired"] === "true" ? undefined : { data: decode(row["data"]), expiry: readInstant(row["expiry"]) },
      }));
      if (rows.length < size) return;
      last = textOf(rows.at(-1), "token");
      size = nextPageRows(
        rows.length,
        rows.reduce((sum, row) => sum + textOf(row, "data").length, 0),
      );
    }
  }
}
