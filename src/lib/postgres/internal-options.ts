import type { Layout } from "./sql/layout.ts";

/** A database that the store has opened itself, and closes. */
export interface OwnDatabase {
  /** Where the sessions are, fit for a log: no password. */
  location: string;
  close: () => Promise<void>;
}

/** What pgstore itself knows of a store besides. */
export interface Inside {
  own?: OwnDatabase;
  /** Default: the seed's table. */
  layout?: Layout;
  /** Figures for operators, of a layout without users as well. */
  hasOperations?: boolean;
}
