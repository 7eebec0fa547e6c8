/** One result of `store.diagnose()`. */
export interface Finding {
  /** The examined object. */
  readonly subject: FindingSubject;
  /** An error keeps sessions from being stored or found. A warning costs something, or gives roles unneeded rights. */
  readonly severity: "ok" | "warn" | "error";
  /** A line for people. */
  readonly text: string;
  /** The remedy of a warning or an error. */
  readonly remedy?: string | undefined;
  /** The numbers behind the text. A name that ends in `Bytes`, `Ms` or `Percent` tells its unit. */
  readonly figures?: Readonly<Record<string, number>> | undefined;
}

export type FindingSubject =
  | "table"
  | "users"
  | "privileges"
  | "schema"
  | "server"
  | "indexes"
  | "bloat"
  | "dead rows"
  | "autovacuum"
  | "expired"
  | "rows"
  | "pgstattuple"
  | "clock"
  | "pooler";

/** Options of `PgStore.diagnose`. */
export interface DiagnoseOptions {
  /** Whether to read every row as well, a page at a time. Default false. */
  deep?: boolean | undefined;
  /** Stops a deep diagnosis between two pages when it aborts. `diagnose` then rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** Called after each page of a deep diagnosis. An error that it throws ends the diagnosis. */
  onProgress?: ((progress: DiagnoseProgress) => void) | undefined;
}

/** Progress of a deep diagnosis. */
export interface DiagnoseProgress {
  /** Rows read so far. */
  rows: number;
  /** The estimated number of rows in the table. */
  total: number;
}

type Figures = Finding["figures"];

export function ok(subject: FindingSubject, text: string, figures?: Figures): Finding {
  return { subject, severity: "ok", text, figures };
}

export function warn(subject: FindingSubject, text: string, remedy: string, figures?: Figures): Finding {
  return { subject, severity: "warn", text, remedy, figures };
}

export function error(subject: FindingSubject, text: string, remedy: string, figures?: Figures): Finding {
  return { subject, severity: "error", text, remedy, figures };
}
