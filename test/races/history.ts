/** One operation on a row, as the process saw it that called it. Data is different in each write. */
export interface Operation {
  kind: "find" | "create" | "replace" | "renew" | "touch" | "delete" | "terminate" | "destroyByUser" | "destroyByTag";
  /** Of destroyByUser and destroyByTag: the user, or the tag. */
  token: string;
  /** Of replace and renew: the data that it expected. */
  previous?: string;
  /** Of create, replace and renew. */
  data?: string;
  /** Of renew. */
  newToken?: string;
  /** Of a create or a renewal that is a login. */
  userId?: string;
  tag?: string;
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
 * each on top of the one before, to its delete or renewal. A life that began with a login, under whatever token it goes on, ends with
 * the sessions of its user and of its tag.
 *
 * @returns what contradicts it, in sentences
 */
export function contradictions(history: readonly Operation[], final: Final): string[] {
  const found: string[] = [];
  const writes = new Map<string, Operation>();
  const successors = new Map<string, Operation[]>();
  const endings = history.filter(({ kind }) => ["delete", "terminate", "renew"].includes(kind));
  const byOwner = history.filter(({ kind }) => kind === "destroyByUser" || kind === "destroyByTag");
  const byData = new Map(history.flatMap((one) => (one.data === undefined ? [] : [[one.data, one] as const])));
  /** The writes that have led to one, from that to its login; none: it has none. */
  const sinceLogin = (last: Operation | undefined): Operation[] => {
    const chain: Operation[] = [];
    for (let one = last; one !== undefined; one = byData.get(one.previous ?? "")) {
      chain.push(one);
      if (one.userId !== undefined) return chain;
    }
    return [];
  };
  const isOwners = (end: Operation, login: Operation | undefined): boolean =>
    login !== undefined && end.token === (end.kind === "destroyByUser" ? login.userId : login.tag);
  const endedMeanwhile = (write: Operation): boolean => {
    const { kind, token, newToken, from, to } = write;
    const login = sinceLogin(write).at(-1);
    return (
      kind !== "create" &&
      (endings.some((one) => (one.token === token || one.token === newToken) && one.from < to && one.to > from) ||
        byOwner.some((one) => isOwners(one, login) && one.from < to && one.to > from))
    );
  };
  for (const one of history) {
    const maybe = one.done !== false || endedMeanwhile(one);
    if (one.data !== undefined && maybe) writes.set(one.data, one);
    if (one.previous !== undefined && maybe) {
      successors.set(one.previous, [...(successors.get(one.previous) ?? []), one]);
    }
  }
  const maybeDeletes = history.filter(({ kind }) => kind === "delete");
  const maybeTerminates = history.filter(({ kind }) => kind === "terminate");
  const maybeGone = [...maybeDeletes, ...maybeTerminates];
  const gones = maybeGone.filter(({ done }) => done !== undefined);
  const terminates = maybeTerminates.filter(({ done }) => done !== undefined);

  for (const [data, next] of successors) {
    if (next.filter(({ done }) => done === true).length > 1)
      found.push(`${data} was replaced twice: an update is lost`);
  }

  /** Whether an ending followed a renewal: what was renewed was there when it began, and no delete broke the chain. */
  const followed = (renewal: Operation, end: Operation): boolean => {
    const before = writes.get(renewal.previous ?? "");
    if (renewal.done !== true || end.token !== renewal.token) return false;
    if (renewal.to >= end.from && !(before?.done === true && before.to < end.from)) return false;
    return !maybeDeletes.some(
      (one) => one.token === end.token && one.from < end.to && (one.to > renewal.from || one.done === undefined),
    );
  };

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
    for (const gone of gones) {
      if (gone.token === token && write.to < gone.from && gone.to < from) {
        found.push(`${where} has ${data}, although ${token} had been deleted: it has come back`);
      }
    }
    const chain = sinceLogin(write);
    const login = chain.at(-1);
    for (const end of byOwner) {
      if (end.done === undefined || end.to >= from || !isOwners(end, login)) continue;
      // A delete removes the old row, by which what is renewed meanwhile is found.
      const isBroken = maybeDeletes.some(
        (one) =>
          one.from < end.to &&
          (one.to > (login?.from ?? 0) || one.done === undefined) &&
          chain.some(({ token: old }) => old === one.token),
      );
      if (login?.done === true && login.to < end.from && !isBroken)
        found.push(`${where} has ${data}, although ${end.kind} of ${end.token} had ended it`);
    }
    if (write.kind !== "renew") return;
    for (const end of terminates) {
      if (end.to < from && followed(write, end))
        found.push(`${where} has ${data}, although ${end.token}, from which it was renewed, had been destroyed`);
    }
  };
  for (const one of history) {
    if (one.kind === "find" && typeof one.found === "string") seen(one.found, one.token, one.from, "find");
  }
  for (const [token, data] of final) seen(data, token, Number.POSITIVE_INFINITY, "the table");

  for (const [data, write] of writes) {
    const token = tokenOf(write);
    if (write.done !== true || final.get(token) === data || successors.has(data)) continue;
    const mayBeGone =
      maybeGone.some((one) => one.token === token && one.to > write.from) ||
      maybeTerminates.some((one) => one.token === write.token && one.to > write.from) ||
      byOwner.some((one) => isOwners(one, sinceLogin(write).at(-1)) && one.to > write.from);
    if (!mayBeGone) found.push(`${data} was acknowledged in ${token}, and is neither there nor replaced nor deleted`);
  }
  return found;
}
