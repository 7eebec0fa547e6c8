/** Bounds of the pages of a loop. */
export interface PageBounds {
  readonly firstRows: number;
  readonly minRows: number;
  readonly maxRows: number;
  /** Milliseconds that a page should take: a request may wait that long for the rows that it locks. */
  readonly slowMs: number;
}

/** Adapts the size of pages to their time: it is halved after a slow page and doubled after a fast one. */
export class Pager {
  readonly #bounds: PageBounds;
  #rows: number;
  #tookMs = 0;

  /** Starts with pages of `firstRows`. */
  constructor(bounds: PageBounds) {
    this.#bounds = bounds;
    this.#rows = bounds.firstRows;
  }

  /** The size of the next page. */
  get rows(): number {
    return this.#rows;
  }

  /** Milliseconds that the last page took. */
  get tookMs(): number {
    return this.#tookMs;
  }

  /** Runs the statement of a page. */
  async read<T>(statement: () => Promise<T>): Promise<T> {
    const { minRows, maxRows, slowMs } = this.#bounds;
    const begun = performance.now();
    const page = await statement();
    this.#tookMs = performance.now() - begun;
    if (this.#tookMs > slowMs) this.#rows = Math.max(minRows, this.#rows >> 1);
    else if (this.#tookMs < slowMs / 4) this.#rows = Math.min(maxRows, this.#rows * 2);
    return page;
  }
}
