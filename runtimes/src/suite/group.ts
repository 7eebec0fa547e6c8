/** Promises of one kind, and what they are run on. */
export interface Group {
  title: string;
  open(): Promise<OpenGroup>;
}

export interface OpenGroup {
  promises: Record<string, () => void | Promise<void>>;
  close?(): Promise<void>;
}
