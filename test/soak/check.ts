import type { SoakEvent, Verdict } from "./event.ts";

/** The events of one session by what the reads of it must be held against. */
interface Life {
  /** By key, its writer's sets in order. */
  sets: Map<string, SoakEvent[]>;
  updates: SoakEvent[];
  begins: SoakEvent[];
  /** What ends it under whatever token it goes on. */
  ends: SoakEvent[];
  logins: SoakEvent[];
}

/**
 * Holds a history against what is promised: what was acknowledged before a read began is in it, nothing is in it that had not
 * begun when it was over, and what was ended before it began is not there. What failed may have been carried out or not.
 */
export function judge(history: readonly SoakEvent[]): Verdict {
  const lives = new Map<string, Life>();
  const ends = new Map<string, SoakEvent[]>();
  const revokes = new Map<string, SoakEvent[]>();
  for (const one of history) {
    if (one.kind === "destroy" || one.kind === "renew") ends.set(one.token, [...(ends.get(one.token) ?? []), one]);
    const { session = "" } = one;
    if (one.kind === "destroy" || one.kind === "revoke") revokes.set(session, [...(revokes.get(session) ?? []), one]);
  }
  for (const one of history) {
    if (one.session === undefined || one.kind === "read") continue;
    // What was dropped because the session got a new token or ended meanwhile may have been carried out before, its answer being lost.
    const around = [...(ends.get(one.token) ?? []), ...(revokes.get(one.session) ?? [])];
    const isBeside = around.some((end) => end !== one && end.from < one.to && end.to > one.from);
    note(lifeOf(lives, one.session), one.outcome === "dropped" && isBeside ? { ...one, outcome: "unknown" } : one);
  }
  const owners = new Map<string, string>();
  for (const { kind, token, next, session = "" } of history) {
    if (kind === "create") owners.set(token, session);
    if (kind === "renew" && next !== undefined) owners.set(next, session);
  }
  const writes = history.filter(({ kind }) => kind !== "read");
  const verdict: Verdict = {
    operations: history.length,
    acknowledged: writes.filter(({ outcome }) => outcome === "done").length,
    unknown: history.filter(({ outcome }) => outcome === "unknown").length,
    losses: [],
    resurrections: [],
    leaks: [],
  };
  for (const read of history) {
    if (read.kind !== "read" || read.outcome !== "done") continue;
    const owner = owners.get(read.token);
    const ended = ends.get(read.token) ?? [];
    const life = lifeOf(lives, owner ?? "");
    if (read.session === undefined) {
      const mayHaveEnded = [...ended, ...life.ends].some(({ from }) => from < read.to);
      if (owner !== undefined && !mayHaveEnded) verdict.losses.push(`${read.token}: session ${owner} has vanished`);
      continue;
    }
    if (read.session !== owner) verdict.leaks.push(`${read.token}: shows session ${read.session}, not ${owner}`);
    for (const end of ended) {
      if (end.outcome === "done" && end.to < read.from) {
        verdict.resurrections.push(`${read.token}: is live after its ${end.kind} was acknowledged`);
      }
    }
    for (const end of life.ends) {
      if (end.outcome !== "done" || end.to >= read.from || end.token === read.token) continue;
      const isFound = end.by === undefined || end.by === "id" || life.logins.some((one) => one.to < end.from);
      if (isFound)
        verdict.resurrections.push(
          `${read.token}: session ${read.session} is live after it was ended under ${end.token}`,
        );
    }
    compare(read, lifeOf(lives, read.session), verdict);
  }
  return verdict;
}

function lifeOf(lives: Map<string, Life>, session: string): Life {
  let life = lives.get(session);
  if (life === undefined)
    lives.set(session, (life = { sets: new Map(), updates: [], begins: [], ends: [], logins: [] }));
  return life;
}

function note(life: Life, one: SoakEvent): void {
  if (one.kind === "update") life.updates.push(one);
  if (one.kind === "destroy" || one.kind === "revoke") life.ends.push(one);
  if (one.kind === "renew" && one.isLogin === true && one.outcome === "done") life.logins.push(one);
  if (one.kind !== "set") return;
  const { key = "" } = one;
  const sets = life.sets.get(key) ?? [];
  sets.push(one);
  life.sets.set(key, sets);
}

function compare(read: SoakEvent, life: Life, verdict: Verdict): void {
  const { values = {}, from, to } = read;
  const { n = 0, ...own } = values;
  const least = life.updates.filter((one) => one.outcome === "done" && one.to < from).length;
  const most = life.updates.filter((one) => one.outcome !== "dropped" && one.from < to).length;
  if (n < least) verdict.losses.push(`${read.session}: counts ${n}, although ${least} steps were acknowledged`);
  if (n > most) verdict.leaks.push(`${read.session}: counts ${n}, although only ${most} steps were begun`);
  for (const [key, sets] of life.sets) {
    const acknowledged = Math.max(0, ...sets.filter((one) => one.outcome === "done" && one.to < from).map(valueOf));
    const value = own[key] ?? 0;
    if (value < acknowledged)
      verdict.losses.push(`${read.session}: ${key} is ${value}, although ${acknowledged} was acknowledged`);
  }
  for (const [key, value] of Object.entries(own)) {
    const written = life.sets
      .get(key)
      ?.some((one) => one.value === value && one.outcome !== "dropped" && one.from < to);
    if (written !== true) verdict.leaks.push(`${read.session}: ${key} is ${value}, which nobody wrote there`);
  }
}

const valueOf = ({ value = 0 }: SoakEvent): number => value;
