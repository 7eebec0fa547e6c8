/** A store to measure; it holds rows 0, 1, 2 and so on, at first in version 0. A pool that it works on is the caller's. */
export interface Peer {
  name: string;
  /** Reads row `n` and says whether it is, byte by byte, what was saved in that version. */
  find(n: number, version: number): Promise<boolean>;
  /** Resolves when the row is stored. */
  save(n: number, version: number): Promise<void>;
}

/** Rows end a day from now. */
export function tomorrow(): Date {
  return new Date(Date.now() + 24 * 60 * 60 * 1000);
}
