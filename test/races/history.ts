/** One operation on a row, as the process saw it that called it. Data is different in each write. */
export interface Operation {
  kind: "find" | "create" | "replace" | "renew" | "touch" | "delete";
  token: string;
  /** Of replace and renew: the data that it expected. */
  previous?: string;
  /** Of create, replace and renew. */
  data?: string;
  /** Of renew. */
  newToken?: string;
  /**
   * What it resolved to; `found` is the data that find gave. Undefined: it threw, so whether it was carried out is unknown.
   * False of a replace or renewal whose first answer was lost may also mean that the row has ended since.
   */
  done?: boolean;
  found?: string | null;
  /** Nanoseconds of a clock that the processes of a machine share. */
  from: number;
  to: number;
}

/** The rows at the end, when nothing is under way any more: token to data. */
export type Final = Map<string, string>;

/**
 * Holds a history against the model: a row has one life, from its create (or as the new row of a renewal) over replaces,
 * each on top of the one before, to its delete or renewal.
 *
 * @returns what contradicts it, in sentences
 */
export function contradictions(history: readonly Operation[], final: Final): string[] {
  const found: string[] = [];
  const writes = new Map<string, Operation>();
  const successors = new Map<string, Operation[]>();
  const endings = history.filter(({ kind }) => kind === "delete" || kind === "renew");
  const endedMeanwhile = ({ kind, token, newToken, from, to }: Operation): boolean =>
    kind !== "create" &&
    endings.some((one) => (one.token === token || one.token === newToken) && one.from < to && one.to > from);
  for (const one of history) {
    const maybe = one.done !== false || endedMeanwhile(one);
    if (one.data !== undefined && maybe) writes.set(one.data, one);
    if (one.previous !== undefined && maybe) {
      successors.set(one.previous, [...(successors.get(one.previous) ?? []), one]);
    }
  }
  const deletes = history.filter(({ kind, done }) => kind === "delete" && done !== undefined);
  const maybeDeletes = history.filter(({ kind }) => kind === "delete");

  for (const [data, next] of successors) {
    if (next.filter(({ done }) => done === true).length > 1)
      found.push(`${data} was replaced twice: an update is lost`);
  }

  const tokenOf = ({ kind, token, newToken }: Operation): string => (kind === "renew" ? (newToken ?? "") : token);
  const seen = (data: string, token: string, from: number, where: string): void => {
    const write = writes.get(data);
    if (write === undefined || tokenOf(write) !== token) {
      found.push(`${where} has ${data} in ${token}, which nobody wrote there`);
      return;
    }
    // Over: it was replaced or renewed, and that was known, before this was asked.
    for (const next of successors.get(data) ?? []) {
      if (next.done === true && next.to < from)
        found.push(`${where} has ${data}, although it had been replaced: a write is lost`);
    }
    // Gone: a delete that began after the write was known, and ended before this was asked.
    for (const gone of deletes) {
      if (gone.token === token && write.to < gone.from && gone.to < from) {
        found.push(`${where} has ${data}, although ${token} had been deleted: it has come back`);
      }
    }
  };
  for (const one of history) {
    if (one.kind === "find" && typeof one.found === "string") seen(one.found, one.token, one.from, "find");
  }
  for (const [token, data] of final) seen(data, token, Number.POSITIVE_INFINITY, "the table");

  for (const [data, write] of writes) {
    const token = tokenOf(write);
    if (write.done !== true || final.get(token) === data || successors.has(data)) continue;
    const mayBeGone = maybeDeletes.some((one) => one.token === token && one.to > write.from);
    if (!mayBeGone) found.push(`${data} was acknowledged in ${token}, and is neither there nor replaced nor deleted`);
  }
  return found;
}
